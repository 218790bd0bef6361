#include "daemon/command_line.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fastlogd::daemon {
namespace {

using Action = CommandLine::Action;

CommandLine parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "fastlogd");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  return parse_command_line(static_cast<int>(arguments.size()), pointers.data());
}

TEST(CommandLine, RunsWithTheDefaultFileWhenNothingIsSaid) {
  const CommandLine line = parse({});
  EXPECT_EQ(line.action, Action::run);
  EXPECT_EQ(line.config_path, "/etc/fastlogd/fastlogd.yaml");
  EXPECT_FALSE(line.config_given);
}

TEST(CommandLine, TakesAFileInEverySpelling) {
  for (const auto& spelling :
       {std::vector<std::string>{"--config", "/x"}, std::vector<std::string>{"--config=/x"},
        std::vector<std::string>{"-c", "/x"}}) {
    const CommandLine line = parse(spelling);
    EXPECT_EQ(line.config_path, "/x");
    EXPECT_TRUE(line.config_given);
  }
}

TEST(CommandLine, ChecksTheFileThatIsNamedBeforeOrBehind) {
  EXPECT_EQ(parse({"--check", "--config", "/x"}).action, Action::check);
  EXPECT_EQ(parse({"--config", "/x", "--check"}).config_path, "/x");
}

TEST(CommandLine, PrefersVersionAndHelp) {
  EXPECT_EQ(parse({"--version"}).action, Action::version);
  EXPECT_EQ(parse({"--check", "--help"}).action, Action::help);
}

TEST(CommandLine, NamesWhatItDoesNotUnderstand) {
  EXPECT_EQ(parse({"--nonsense"}).error, "unknown option --nonsense");
  EXPECT_EQ(parse({"--config"}).error, "--config needs a value");
  EXPECT_EQ(parse({"--check", "extra"}).error, "unexpected argument extra");
  for (const char* bad : {"--nonsense", "--config", "extra"}) EXPECT_EQ(parse({bad}).action, Action::refuse);
}

}  // namespace
}  // namespace fastlogd::daemon
