// The part of TextWriter that finds its place after a start.
#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "follow/text_writer.hpp"

namespace fastlogd::follow {

bool TextWriter::recover(const TextFileOptions& options) {
  if (!cursor_file_) {
    auto opened = CursorFile::open(cursor_path_, *files_);
    if (!opened) {
      report(cursor_errors_, "can't open the text file's cursor", opened.error());
      return false;
    }
    cursor_file_ = std::move(*opened);
  }
  const std::optional<TextCursor> cursor = cursor_file_->cursor();
  if (!cursor) {
    source_->seek_oldest();
    start_batch();
    if (!open_file(options.path)) return false;
    if (file_->length() > 0) {
      diag::warning(
          "stream {}: {} is not empty and has no cursor: the log's oldest records are appended to it",
          stream_, options.path);
    }
    return true;
  }

  source_->seek(cursor->position, cursor->sequence);
  start_batch();
  if (cursor->skip > 0) {
    (void)fill_batch(static_cast<std::size_t>(cursor->skip) + limits::kTextBatchBytes);
    done_ = std::min(static_cast<std::size_t>(cursor->skip), batch_.size());
  }
  file_ = find_file(*cursor, options);
  if (!file_) {
    diag::warning("stream {}: the text file last written ({}) is gone; going on in {}", stream_, cursor->path,
                  options.path);
    return open_file(options.path);
  }
  cursor_holds_ = true;
  skip_what_is_there(*cursor);
  expected_length_ = file_->length();
  return true;
}

/// The file with the cursor's inode, wherever rotations and renames have put it.
std::optional<TextFile> TextWriter::find_file(const TextCursor& cursor,
                                              const TextFileOptions& options) const {
  const auto try_name = [&](const std::string& path) -> std::optional<TextFile> {
    const auto found = files_->status(path);
    if (!found || found->st_ino != cursor.inode) return std::nullopt;
    auto opened = TextFile::open(path, false, *files_);
    if (!opened || opened->inode() != cursor.inode) return std::nullopt;
    return std::move(*opened);
  };
  for (const std::string& base : {options.path, cursor.path}) {
    if (auto found = try_name(base)) return found;
    // One more than are kept: the interrupted rotation may have run with other options.
    for (unsigned number = 1; number <= options.keep + 1; ++number) {
      if (auto found = try_name(rotated_name(base, number))) return found;
    }
  }
  return std::nullopt;
}

/// What the file holds beyond the cursor's length has been rendered from the cursor's position on: render it
/// again and step over it.
void TextWriter::skip_what_is_there(const TextCursor& cursor) {
  if (file_->length() < cursor.length) {
    diag::warning(
        "stream {}: {} is shorter than when it was written last ({} bytes, not {}); going on behind it",
        stream_, file_->path(), file_->length(), cursor.length);
    cursor_holds_ = false;
    return;
  }
  expected_length_ = cursor.length;
  while (expected_length_ < file_->length()) {
    if (batch_.empty()) (void)fill_batch(limits::kTextBatchBytes);
    if (batch_.empty() || !step_over_equal_bytes()) return continue_behind_foreign_text();
    if (done_ == batch_.size()) finish_batch();
  }
}

/// Compares the rest of the batch with the file behind expected_length_ and moves both behind what is equal.
/// False if there is a difference before either of them ends.
bool TextWriter::step_over_equal_bytes() {
  const std::uint64_t bytes =
      std::min<std::uint64_t>(batch_.size() - done_, file_->length() - expected_length_);
  std::vector<char> there(static_cast<std::size_t>(bytes));
  const auto read = file_->read_at(there, expected_length_);
  there.resize(read ? *read : 0);
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
  done_ = line_start(done_);
  cursor_holds_ = false;
  char last = '\n';
  if (file_->length() > 0) (void)file_->read_at(std::span(&last, 1), file_->length() - 1);
  if (last != '\n') (void)file_->append(std::string_view("\n"));
}

}  // namespace fastlogd::follow
