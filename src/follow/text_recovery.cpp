// The part of TextWriter that finds its place after a start.
#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "follow/text_writer.hpp"

namespace fastlogd::follow {
namespace {

/// Whether a file may be ours although it can't be opened now.
bool may_pass(const Error& error) {
  return error.code != std::errc::no_such_file_or_directory && error.code != std::errc::permission_denied &&
         error.code != std::errc::invalid_argument;
}

}  // namespace

bool TextWriter::recover(const TextFileOptions& options) {
  if (!open_cursor()) return false;
  const std::optional<TextCursor> cursor = cursor_file_->cursor();
  if (!cursor) return begin_with_the_oldest(options);
  auto found = find_file(*cursor, options);
  if (!found) {
    report(open_errors_, "can't open the text file", found.error());
    return false;
  }
  if (!find_place(*cursor)) return false;
  if (!*found) {
    if (!open_file(options.path)) return false;
    diag::warning("stream {}: the text file last written ({}) is gone; going on in {}", stream_, cursor->path,
                  options.path);
    return true;
  }
  file_ = std::move(*found);
  cursor_holds_ = true;
  if (!skip_what_is_there(*cursor)) {
    file_.reset();
    return false;
  }
  expected_length_ = file_->length();
  return true;
}

bool TextWriter::open_cursor() {
  if (cursor_file_) return true;
  auto opened = CursorFile::open(cursor_path_, *files_);
  if (!opened) {
    report(cursor_errors_, "can't open the text file's cursor", opened.error());
    return false;
  }
  cursor_file_ = std::move(*opened);
  return true;
}

bool TextWriter::begin_with_the_oldest(const TextFileOptions& options) {
  source_->seek_oldest();
  start_batch();
  if (!open_file(options.path)) return false;
  if (file_->length() > 0) {
    diag::warning("stream {}: {} is not empty and has no cursor: the log's oldest records are appended to it",
                  stream_, options.path);
  }
  return true;
}

/// The file with the cursor's inode, wherever rotations and renames have put it, locked. Nothing: it is gone.
Result<std::optional<TextFile>> TextWriter::find_file(const TextCursor& cursor,
                                                      const TextFileOptions& options) const {
  for (const std::string& base : {options.path, cursor.path}) {
    // One more than are kept: the interrupted rotation may have run with other options.
    for (unsigned number = 0; number <= options.keep + 1; ++number) {
      const std::string path = number == 0 ? base : rotated_name(base, number);
      const auto status = files_->status(path);
      if (!status && may_pass(status.error())) return status.error();
      if (!status || status->st_ino != cursor.inode) continue;
      auto opened = TextFile::open(path, false, *files_);
      if (!opened && may_pass(opened.error())) return opened.error();
      if (!opened || opened->inode() != cursor.inode) continue;
      if (auto locked = opened->lock(); !locked) return locked.error();
      return std::optional<TextFile>(std::move(*opened));
    }
  }
  return std::optional<TextFile>();
}

/// Stands the source at the cursor's place, and behind what has been written of the batch that begins there.
bool TextWriter::find_place(const TextCursor& cursor) {
  if (const auto found = source_->seek(cursor.position, cursor.sequence); !found) {
    report(read_errors_, "finding the text file's place in the log failed", found.error());
    return false;
  }
  start_batch();
  // Elsewhere other lines begin.
  if (cursor.skip == 0 || source_->position() != cursor.position) return true;
  const auto skip = static_cast<std::size_t>(cursor.skip);
  const FillStatus filled = fill_batch(skip + limits::kTextBatchBytes);
  if (filled == FillStatus::failed && batch_.size() < skip) {
    report(read_errors_, "reading the log failed", source_->error());
    return false;
  }
  done_ = std::min(skip, batch_.size());
  return true;
}

/// What the file holds beyond the cursor's length has been rendered from the cursor's position on: render it
/// again and step over it. False: the log can't be read now.
bool TextWriter::skip_what_is_there(const TextCursor& cursor) {
  if (file_->length() < cursor.length) {
    diag::warning(
        "stream {}: {} is shorter than when it was written last ({} bytes, not {}); going on behind it",
        stream_, file_->path(), file_->length(), cursor.length);
    continue_on_a_line_of_its_own();
    return true;
  }
  expected_length_ = cursor.length;
  while (expected_length_ < file_->length()) {
    const bool failed = batch_.empty() && fill_batch(limits::kTextBatchBytes) == FillStatus::failed;
    if (failed && batch_.empty()) {
      report(read_errors_, "reading the log failed", source_->error());
      return false;
    }
    const auto equal = batch_.empty() ? Result<bool>(false) : step_over_equal_bytes();
    if (!equal) {
      report(read_errors_, "reading the text file failed", equal.error());
      return false;
    }
    if (!*equal) {
      continue_behind_foreign_text();
      return true;
    }
    if (done_ == batch_.size()) finish_batch();
  }
  return true;
}

/// Compares the rest of the batch with the file behind expected_length_ and moves both behind what is equal.
/// False if there is a difference before either of them ends.
Result<bool> TextWriter::step_over_equal_bytes() {
  const std::uint64_t bytes =
      std::min<std::uint64_t>(batch_.size() - done_, file_->length() - expected_length_);
  std::vector<char> there(static_cast<std::size_t>(bytes));
  const auto read = file_->read_at(there, expected_length_);
  if (!read) return read.error();
  there.resize(*read);
  const auto difference = std::mismatch(there.begin(), there.end(), batch_.data() + done_).first;
  const auto equal = static_cast<std::size_t>(difference - there.begin());
  expected_length_ += equal;
  done_ += equal;
  return equal == bytes;
}

/// Somebody else wrote into the file, or rendering has changed (another time zone). Better a line twice than
/// a line lost: go on with the whole line where the difference is, on a line of its own.
void TextWriter::continue_behind_foreign_text() {
  diag::warning("stream {}: {} differs from the log at its end; going on behind it", stream_, file_->path());
  continue_on_a_line_of_its_own();
}

/// What is in the file may end in a torn line. So may what has been written of the batch: that line is written again.
void TextWriter::continue_on_a_line_of_its_own() {
  done_ = line_start(done_);
  cursor_holds_ = false;
  char last = '\n';
  if (file_->length() > 0) (void)file_->read_at(std::span(&last, 1), file_->length() - 1);
  if (last != '\n') (void)file_->append(std::string_view("\n"));
  expected_length_ = file_->length();
}

}  // namespace fastlogd::follow
