#include "record/priority.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace fastlogd {
namespace {

constexpr std::array<std::string_view, 8> kSeverities{"emerg",   "alert",  "crit", "err",
                                                      "warning", "notice", "info", "debug"};
constexpr std::array<std::string_view, 24> kFacilities{
    "kern",   "user",   "mail",     "daemon", "auth",   "syslog",   "lpr",     "news",
    "uucp",   "cron",   "authpriv", "ftp",    "ntp",    "security", "console", "solaris-cron",
    "local0", "local1", "local2",   "local3", "local4", "local5",   "local6",  "local7"};
constexpr std::array<std::pair<std::string_view, Severity>, 4> kAliases{{{"panic", Severity::emerg},
                                                                         {"critical", Severity::crit},
                                                                         {"error", Severity::err},
                                                                         {"warn", Severity::warning}}};

}  // namespace

std::string_view severity_name(Severity severity) {
  return kSeverities[static_cast<std::size_t>(severity) & 7];
}

std::string_view facility_name(unsigned facility) {
  return facility < kFacilities.size() ? kFacilities[facility] : std::string_view("unknown");
}

std::optional<Severity> parse_severity(std::string_view text) {
  if (text.size() == 1 && text[0] >= '0' && text[0] <= '7') return static_cast<Severity>(text[0] - '0');
  const auto* const found = std::find(kSeverities.begin(), kSeverities.end(), text);
  if (found != kSeverities.end()) return static_cast<Severity>(found - kSeverities.begin());
  for (const auto& [name, severity] : kAliases) {
    if (name == text) return severity;
  }
  return std::nullopt;
}

std::optional<unsigned> parse_facility(std::string_view text) {
  const auto* const found = std::find(kFacilities.begin(), kFacilities.end(), text);
  if (found == kFacilities.end()) return std::nullopt;
  return static_cast<unsigned>(found - kFacilities.begin());
}

}  // namespace fastlogd
