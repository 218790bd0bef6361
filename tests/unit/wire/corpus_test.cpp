// Real logs, where they are: their lines must come out of the framer as they are in the file, raw, and with
// headers in front must come back as the same text.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wire/stream_framer.hpp"
#include "wire/syslog.hpp"

namespace fastlogd::wire {
namespace {

constexpr std::size_t kLimit = 65536;

/// FASTLOGD_CORPUS, or ../shared/corpus seen from the project's root; empty if neither is there.
std::vector<std::filesystem::path> corpus_files() {
  namespace fs = std::filesystem;
  const char* const given = std::getenv("FASTLOGD_CORPUS");
  fs::path directory = given != nullptr ? fs::path(given) : fs::path();
  for (fs::path root = fs::current_path(); directory.empty() && root.has_relative_path();
       root = root.parent_path()) {
    if (fs::is_directory(root / "shared" / "corpus")) directory = root / "shared" / "corpus";
  }
  std::vector<fs::path> files;
  if (!fs::is_directory(directory)) return files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".log") files.push_back(entry.path());
  }
  return files;
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

/// The oracle: what getline finds.
std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) all.push_back(line);
  return all;
}

std::vector<std::string> framed(std::string_view stream, std::size_t read_bytes) {
  StreamFramer framer(FramingMode::automatic, kLimit);
  std::vector<FramedMessage> out(512);
  std::vector<std::string> all;
  std::string tail;
  const auto keep = [&](const FrameResult& result) {
    for (std::size_t i = 0; i < result.messages; ++i) all.emplace_back(tail, out[i].offset, out[i].bytes);
    tail.erase(0, result.consumed);
    return result.messages == out.size();
  };
  for (std::size_t at = 0; at < stream.size(); at += read_bytes) {
    tail += stream.substr(at, read_bytes);
    while (keep(framer.split(tail, out))) {
    }
  }
  while (!tail.empty()) keep(framer.finish(tail, out));
  return all;
}

TEST(Corpus, ComesOutOfTheFramerLineByLine) {
  const auto files = corpus_files();
  if (files.empty()) GTEST_SKIP() << "no corpus: set FASTLOGD_CORPUS to a directory of .log files";
  for (const auto& file : files) {
    const std::string text = content(file);
    for (const std::size_t read_bytes : {std::size_t{262144}, std::size_t{4093}}) {
      EXPECT_EQ(framed(text, read_bytes), lines(text)) << file;
    }
  }
}

TEST(Corpus, IsRawTextWithoutAHeaderAndTheSameTextBehindOne) {
  const auto files = corpus_files();
  if (files.empty()) GTEST_SKIP() << "no corpus: set FASTLOGD_CORPUS to a directory of .log files";
  const ParseContext context(1'795'388'701'000'000'000, 0, true);
  const auto text_of = [&](const std::string& message, RecordFormat format) {
    const ParsedMessage parsed = parse_message(message, MessageFormat::automatic, context);
    EXPECT_EQ(parsed.flags.bits, static_cast<std::uint8_t>(format)) << message;
    return message.substr(parsed.slice_offset + parsed.message_start);
  };
  for (const auto& file : files) {
    for (const std::string& line : lines(content(file))) {
      ASSERT_EQ(text_of(line, RecordFormat::raw), line);
      ASSERT_EQ(text_of("<13>Nov 22 23:05:01 vm app[1]: " + line, RecordFormat::rfc3164), line);
      ASSERT_EQ(text_of("<13>1 2026-11-22T23:05:01Z vm app 1 - [a b=\"c\"] " + line, RecordFormat::rfc5424),
                line);
    }
  }
}

}  // namespace
}  // namespace fastlogd::wire
