#include "ctl/message_words.hpp"

#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

namespace fastlogd::ctl {
namespace {

/// As CLI11 sees it; "-" alone, "-1" and "- x" are words.
bool is_option(std::string_view argument) {
  if (argument.size() < 2 || argument[0] != '-') return false;
  const bool is_long = argument[1] == '-';
  if (is_long && argument.size() == 2) return false;
  const char first = argument[is_long ? 2 : 1];
  const bool digit = !is_long && first >= '0' && first <= '9';
  return !digit && std::string_view("-! \n").find(first) == std::string_view::npos;
}

bool takes_value(const CLI::Option* option) {
  return option != nullptr && option->get_items_expected_max() > 0;
}

/// Whether the value of the last option in `argument` is the argument behind it.
bool value_follows(const CLI::App& send, const std::string& argument) {
  if (argument[1] == '-') {
    const std::size_t equals = argument.find('=');
    const bool has_value = equals != std::string::npos && equals + 1 < argument.size();
    return !has_value && takes_value(send.get_option_no_throw(argument.substr(0, equals)));
  }
  for (std::size_t i = 1; i < argument.size(); ++i) {  // flags may stand together, as in -it NAME
    const CLI::Option* const option = send.get_option_no_throw(std::string("-") + argument[i]);
    if (takes_value(option)) return i + 1 == argument.size();
    if (option == nullptr) return false;
  }
  return false;
}

}  // namespace

std::vector<std::string> take_message_words(const CLI::App& send, std::vector<std::string>& arguments) {
  std::vector<std::string> words;
  std::vector<std::string> options;
  bool words_only = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string& argument = arguments[i];
    if (!words_only && argument == "--") {
      words_only = true;
    } else if (words_only || !is_option(argument)) {
      words.push_back(std::move(argument));
    } else {
      const bool with_next = value_follows(send, argument) && i + 1 < arguments.size();
      options.push_back(std::move(argument));
      if (with_next) options.push_back(std::move(arguments[++i]));
    }
  }
  arguments = std::move(options);
  return words;
}

}  // namespace fastlogd::ctl
