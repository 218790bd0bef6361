// Any bytes as a main file and, after a 0xff byte, as a drop-in: never a crash, a hang or a configuration
// that breaks the promises of load.hpp.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "config/conflicts.hpp"
#include "config/diff.hpp"
#include "config/load.hpp"

using namespace fastlogd;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = text.find('\xff');
  config::Sources sources;
  sources.files.push_back({"main.yaml", std::string(text.substr(0, cut)), {}, false});
  if (cut != std::string_view::npos) {
    sources.files.push_back({"conf.d/a.yaml", std::string(text.substr(cut + 1)), {}, false});
  }
  const config::Loaded loaded = config::load_sources(std::move(sources));
  FASTLOGD_CHECK(loaded.ok() == loaded.problems.empty());
  for (const config::Problem& problem : loaded.problems) {
    FASTLOGD_CHECK(problem.line >= 1 && problem.column >= 1 && !problem.message.empty());
  }
  if (!loaded.ok()) return 0;
  const config::Config defaults = config::default_config();
  FASTLOGD_CHECK(config::find_conflicts(*loaded.config).empty());
  FASTLOGD_CHECK(config::diff(defaults, *loaded.config).empty() == (defaults == *loaded.config));
  const config::Config merged = config::merge_live(defaults, *loaded.config);
  for (const config::Change& change : config::diff(merged, *loaded.config)) {
    FASTLOGD_CHECK(change.applies == config::Applies::needs_restart);
  }
  return 0;
}
