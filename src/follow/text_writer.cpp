#include "follow/text_writer.hpp"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

namespace fastlogd::follow {

TextWriter::TextWriter(std::string stream, std::string cursor_path, LineSource& source,
                       TextFileCounters& counters, FileSystem& files, WallClock clock)
    : stream_(std::move(stream)),
      cursor_path_(std::move(cursor_path)),
      source_(&source),
      counters_(&counters),
      files_(&files),
      clock_(clock),
      last_rotation_ns_(clock()) {}

TextWriter::Step TextWriter::step(const TextFileOptions& options) {
  if (!file_ && !recover(options)) return Step::stuck;
  if (at_line_start()) {
    rotate_if_due(options);
    if (!choose_file(options)) return Step::stuck;
  }
  FillStatus filled = FillStatus::more;
  if (batch_.empty()) {
    std::uint64_t room = limits::kTextBatchBytes;
    if (options.rotate_bytes > file_->length()) room = std::min(room, options.rotate_bytes - file_->length());
    filled = fill_batch(static_cast<std::size_t>(room));
  }
  // A file that is left behind gets the rest of its last line, no more.
  const bool staying = file_->path() == options.path;
  if (!write_batch(staying)) {
    if (!staying) done_ = line_start(done_);
    return Step::stuck;
  }
  if (!batch_.empty() && done_ == batch_.size()) finish_batch();
  if (filled == FillStatus::failed) {
    report(read_errors_, "reading the log failed", source_->error());
    return Step::stuck;
  }
  return filled == FillStatus::caught_up ? Step::idle : Step::worked;
}

/// The next batch is empty and starts where the source stands.
void TextWriter::start_batch() {
  batch_.clear();
  done_ = 0;
  batch_start_ = source_->position();
  before_batch_ = source_->last_sequence();
}

FillStatus TextWriter::fill_batch(std::size_t bytes_target) {
  fill_ = source_->fill(batch_, bytes_target);
  return fill_.status;
}

/// The batch is in the file: the next one starts behind it. A cursor that can't be stored now still holds; it
/// only makes a restart render more again.
void TextWriter::finish_batch() {
  counters_->lines.add(fill_.lines);
  counters_->overtaken.add(fill_.overtaken);
  start_batch();
  (void)save_cursor();
}

/// Makes sure the open file is the one the options name and that the cursor names it too.
bool TextWriter::choose_file(const TextFileOptions& options) {
  if (file_->path() != options.path || file_->look_up() != TextFile::Name::ours || !file_->is_locked()) {
    if (!open_file(options.path)) return false;
  }
  if (file_->length() != expected_length_) {  // truncated or appended to by somebody else
    expected_length_ = file_->length();
    cursor_holds_ = false;
  }
  return cursor_holds_ || save_cursor();
}

bool TextWriter::open_file(const std::string& path) {
  auto opened = TextFile::open(path, true, *files_);
  if (!opened) {
    report(open_errors_, "can't open the text file", opened.error());
    return false;
  }
  const bool is_open =
      file_ && file_->is_same_file(*opened);  // perhaps under another name; our lock would refuse us
  TextFile& next = is_open ? *file_ : *opened;
  next.set_path(path);
  if (auto locked = next.lock(); !locked) {
    report(open_errors_, "can't write the text file", locked.error());
    if (file_) file_->unlock();  // who writes that one may be waiting for the one that is left here
    return false;
  }
  if (!is_open) file_ = std::move(*opened);
  continue_on_a_line_of_its_own();  // a power loss may have torn the last one that is there
  return true;
}

/// Only renames; choose_file() then finds the name free and creates the next file, also after a crash in
/// between.
void TextWriter::rotate_if_due(const TextFileOptions& options) {
  const bool large = options.rotate_bytes > 0 && file_->length() >= options.rotate_bytes;
  if (!large && !rotation_requested_) return;
  // What the stored cursor names must be what is renamed.
  if (file_->path() != options.path || !file_->is_locked() || !cursor_holds_) return;
  const std::int64_t now = clock_();
  if (now - last_rotation_ns_ < kRotationIntervalNs || now < no_rotation_before_ns_) return;
  if (file_->look_up() != TextFile::Name::ours || file_->length() != expected_length_) return;
  rotation_requested_ = false;
  if (file_->length() == 0) return;
  if (auto moved = make_way(options.path, options.keep, *files_); !moved) {
    report(rotation_errors_, "rotating the text file failed", moved.error());
    no_rotation_before_ns_ = now + kNanosPerSecond;
    return;
  }
  last_rotation_ns_ = now;
  counters_->rotations.add();
}

/// Writes the rest of the batch (`whole`) or of its current line.
bool TextWriter::write_batch(bool whole) {
  std::size_t end = batch_.size();
  if (!whole && !at_line_start()) {
    const std::string_view rest(batch_.data() + done_, batch_.size() - done_);
    end = done_ + rest.find('\n') + 1;
  }
  while (done_ < end) {
    const auto written = file_->append(std::span(batch_.data() + done_, end - done_));
    if (!written) {
      report(write_errors_, "writing the text file failed", written.error());
      return false;
    }
    done_ += *written;
    expected_length_ += *written;
    counters_->bytes.add(*written);
  }
  return true;
}

bool TextWriter::save_cursor() {
  const auto saved = cursor_file_->save(
      TextCursor{batch_start_, before_batch_, done_, file_->inode(), expected_length_, file_->path()});
  if (!saved) {
    report(cursor_errors_, "storing the text file's cursor failed", saved.error());
    return false;
  }
  cursor_holds_ = true;
  return true;
}

/// Where the line begins that the byte at `at` belongs to.
std::size_t TextWriter::line_start(std::size_t at) const {
  while (at > 0 && batch_[at - 1] != '\n') --at;
  return at;
}

void TextWriter::report(diag::RateLimit& limit, const char* what, const Error& error) {
  counters_->errors.add();
  limit.log(diag::Level::warning, "stream {}: {}: {}", stream_, what, error.message());
}

}  // namespace fastlogd::follow
