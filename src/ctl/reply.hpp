// Reads what the daemon's control socket answers.
#pragma once

#include <string>
#include <vector>

#include "ctl/control_client.hpp"
#include "ctl/target.hpp"

namespace fastlogd::ctl {

/// {"ok":..., "changes":[...], "restart_needed":[...], "problems":[...], "error":"..."}: absent lists are empty.
struct ParsedReply {
  bool ok = false;
  std::vector<std::string> changes;
  std::vector<std::string> restart_needed;
  std::vector<std::string> problems;
  std::string error;
};

/// Anything that is not such an object becomes `error`. `ok` needs a status below 300 too.
[[nodiscard]] ParsedReply parse_reply(const ControlReply& reply);

/// What of GET /status says which daemon it is. Empty where the reply is no such object.
struct StatusFacts {
  std::string config_path;  ///< as the daemon was given it
  std::vector<Stream> streams;
};
[[nodiscard]] StatusFacts parse_status(const std::string& body);

/// JSON for people: "key: value" lines, objects indented, a list of flat objects as a table, or, where that would have more
/// than eight columns, one object after the other with "- " in front of its first line. What is no JSON comes back as it is.
[[nodiscard]] std::string json_for_people(const std::string& json);

}  // namespace fastlogd::ctl
