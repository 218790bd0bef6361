#include "base/persist.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace fastlogd {
namespace {

#if defined(__x86_64__)

/// The line that holds the first byte. What lies before a span belongs to its line too.
std::uintptr_t first_line(std::span<const std::byte> bytes) {
  return reinterpret_cast<std::uintptr_t>(bytes.data()) & ~(kCacheLineBytes - 1);
}

std::uintptr_t end_of(std::span<const std::byte> bytes) {
  return reinterpret_cast<std::uintptr_t>(bytes.data()) + bytes.size();
}

__attribute__((target("clwb"))) void clwb(std::span<const std::byte> bytes) {
  for (auto at = first_line(bytes); at < end_of(bytes); at += kCacheLineBytes) {
    _mm_clwb(reinterpret_cast<void*>(at));
  }
}

__attribute__((target("clflushopt"))) void clflushopt(std::span<const std::byte> bytes) {
  for (auto at = first_line(bytes); at < end_of(bytes); at += kCacheLineBytes) {
    _mm_clflushopt(reinterpret_cast<void*>(at));
  }
}

void clflush(std::span<const std::byte> bytes) {
  for (auto at = first_line(bytes); at < end_of(bytes); at += kCacheLineBytes) {
    _mm_clflush(reinterpret_cast<const void*>(at));
  }
}

// gcc's __builtin_cpu_supports of Debian 12 knows neither clwb nor clflushopt.
bool cpuid_bit(unsigned leaf, unsigned register_number, unsigned bit) {
  unsigned registers[4]{};
  if (__get_cpuid_count(leaf, 0, &registers[0], &registers[1], &registers[2], &registers[3]) == 0)
    return false;
  return (registers[register_number] >> bit & 1U) != 0;
}

constexpr unsigned kEbx = 1;
constexpr unsigned kEdx = 3;

#endif

WriteBack find_best() {
  for (const WriteBack one : {WriteBack::clwb, WriteBack::clflushopt, WriteBack::clflush}) {
    if (has_write_back(one)) return one;
  }
  return WriteBack::none;
}

class Processor final : public Persist {
 public:
  void write_back(std::span<const std::byte> bytes) override { write_back_with(best_, bytes); }
  void fence() override {
#if defined(__x86_64__)
    _mm_sfence();
#endif
  }

 private:
  WriteBack best_ = best_write_back();
};

}  // namespace

std::string_view name_of(WriteBack instruction) {
  switch (instruction) {
    case WriteBack::clwb:
      return "clwb";
    case WriteBack::clflushopt:
      return "clflushopt";
    case WriteBack::clflush:
      return "clflush";
    case WriteBack::none:
      break;
  }
  return "none";
}

bool has_write_back(WriteBack instruction) {
#if defined(__x86_64__)
  switch (instruction) {
    case WriteBack::clwb:
      return cpuid_bit(7, kEbx, 24);
    case WriteBack::clflushopt:
      return cpuid_bit(7, kEbx, 23);
    case WriteBack::clflush:
      return cpuid_bit(1, kEdx, 19);
    case WriteBack::none:
      break;
  }
#endif
  return instruction == WriteBack::none;
}

WriteBack best_write_back() {
  static const WriteBack best = find_best();
  return best;
}

void write_back_with(WriteBack instruction, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
#if defined(__x86_64__)
  switch (instruction) {
    case WriteBack::clwb:
      return clwb(bytes);
    case WriteBack::clflushopt:
      return clflushopt(bytes);
    case WriteBack::clflush:
      return clflush(bytes);
    case WriteBack::none:
      break;
  }
#else
  (void)instruction;
#endif
}

Persist& processor_persist() {
  static Processor processor;
  return processor;
}

}  // namespace fastlogd
