// The C functions of fastlog_reader.h: arguments are checked here, and nothing is thrown past here.
#include <new>
#include <utility>

#include "client/error_text.hpp"
#include "client/reader.hpp"

using fastlogd::client::ErrorText;

struct fastlog_reader {
  fastlogd::client::Reader reader;
  ErrorText error;
};

namespace {

using fastlogd::Error;

constinit thread_local ErrorText open_error;

int result_of(const std::error_code& code) {
  if (code == std::errc::no_such_file_or_directory || code == std::errc::not_a_directory) {
    return FASTLOG_ERROR_NOT_FOUND;
  }
  if (code == std::errc::permission_denied || code == std::errc::operation_not_permitted) {
    return FASTLOG_ERROR_PERMISSION;
  }
  if (code == std::errc::not_enough_memory) return FASTLOG_ERROR_MEMORY;
  return code == std::errc::invalid_argument ? FASTLOG_ERROR_BAD_DATA : FASTLOG_ERROR_SYSTEM;
}

int fail(ErrorText& text, const Error& error) {
  text = error.message();
  return result_of(error.code);
}

int refuse(ErrorText& text, const char* why, int result = FASTLOG_ERROR_ARGUMENT) {
  text = why;
  return result;
}

/// Whatever `work` throws becomes a result: there is no C++ on the other side.
template <class Work>
int guarded(ErrorText& text, Work work) noexcept {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return FASTLOG_ERROR_MEMORY;
  } catch (const std::exception& error) {
    text = error.what();
    return FASTLOG_ERROR_SYSTEM;
  }
}

/// Empty: good.
const char* check(const fastlog_reader_options& options) {
  if (options.abi != FASTLOG_ABI_VERSION) return "the options are of another ABI than this library";
  if ((options.flags & ~std::uint32_t{FASTLOG_READER_COPY}) != 0) return "unknown flags";
  if (options.from > FASTLOG_FROM_POSITION) return "unknown place to begin";
  return "";
}

}  // namespace

int fastlog_reader_open(const char* directory, const fastlog_reader_options* options,
                        fastlog_reader** reader) {
  if (reader != nullptr) *reader = nullptr;
  return guarded(open_error, [&] {
    if (directory == nullptr || reader == nullptr) return refuse(open_error, "a null pointer");
    const fastlog_reader_options wanted =
        options != nullptr ? *options : fastlog_reader_options FASTLOG_READER_OPTIONS_INIT;
    const char* const wrong = check(wanted);
    if (*wrong != '\0') return refuse(open_error, wrong);
    auto opened = fastlogd::client::Reader::open(directory, wanted);
    if (!opened) return fail(open_error, opened.error());
    *reader = new fastlog_reader{std::move(*opened), {}};
    return int{FASTLOG_OK};
  });
}

int fastlog_reader_poll(fastlog_reader* reader, fastlog_record* out, std::size_t max, int timeout_ms) {
  if (reader == nullptr) return FASTLOG_ERROR_ARGUMENT;
  return guarded(reader->error, [&] {
    if (out == nullptr || max == 0) return refuse(reader->error, "no room for a record");
    constexpr std::size_t kMax = INT32_MAX;
    const auto taken =
        reader->reader.poll(out, max < kMax ? max : kMax, std::chrono::milliseconds(timeout_ms));
    return taken ? static_cast<int>(*taken) : fail(reader->error, taken.error());
  });
}

int fastlog_reader_pin(fastlog_reader* reader, std::uint64_t position) {
  if (reader == nullptr) return FASTLOG_ERROR_ARGUMENT;
  return guarded(reader->error, [&] {
    if (reader->reader.copies()) {
      return refuse(reader->error, "a reader that copies can't pin", FASTLOG_ERROR_UNSUPPORTED);
    }
    if (reader->reader.pin(fastlogd::LogPosition{position}.segment())) return int{FASTLOG_OK};
    return refuse(reader->error, "nothing was read from that segment");
  });
}

int fastlog_reader_unpin(fastlog_reader* reader, std::uint64_t position) {
  if (reader == nullptr) return FASTLOG_ERROR_ARGUMENT;
  return guarded(reader->error, [&] {
    if (reader->reader.unpin(fastlogd::LogPosition{position}.segment())) return int{FASTLOG_OK};
    return refuse(reader->error, "that segment is not pinned");
  });
}

std::uint64_t fastlog_reader_position(const fastlog_reader* reader) {
  return reader == nullptr ? 0 : reader->reader.position().value;
}

int fastlog_reader_get_state(const fastlog_reader* reader, fastlog_reader_state* state) {
  if (reader == nullptr || state == nullptr) return FASTLOG_ERROR_ARGUMENT;
  *state = reader->reader.state();
  return FASTLOG_OK;
}

const char* fastlog_reader_error(const fastlog_reader* reader) {
  return reader == nullptr ? open_error.c_str() : reader->error.c_str();
}

void fastlog_reader_close(fastlog_reader* reader) {
  delete reader;
}
