#include "daemon/profiling.hpp"

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <charconv>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "base/diagnostics.hpp"
#include "base/file_system.hpp"
#include "daemon/symbols.hpp"

namespace fastlogd::daemon {
namespace {

constexpr const char* kProfilerLibrary = "libprofiler.so.0";
constexpr std::size_t kSymbolsBytesMax = 256 * std::size_t{1024};  // ten thousand addresses
constexpr const char* kNeedsProfiler = "the CPU profile needs libprofiler.so.0 of gperftools";
constexpr const char* kNeedsAllocator =
    "the heap profile needs gperftools' allocator: start fastlogd with LD_PRELOAD=libtcmalloc.so.4";
// Where gperftools would put the profiles that it takes by itself every gigabyte; we only take those asked for.
constexpr const char* kNoFiles = "/dev/null/";

template <class Function>
Function* symbol(void* library, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(library, name));
}

/// gperftools/profiler.h. In the process already if its allocator with the profiler was preloaded.
struct CpuProfiler {
  int (*start)(const char* file) = nullptr;
  void (*stop)() = nullptr;
};

CpuProfiler find_cpu_profiler(void* library) {
  return {symbol<int(const char*)>(library, "ProfilerStart"), symbol<void()>(library, "ProfilerStop")};
}

/// Looked for until it is there: it may be installed while the daemon runs.
const CpuProfiler& cpu_profiler() {
  static CpuProfiler found = find_cpu_profiler(RTLD_DEFAULT);
  if (found.start == nullptr) {
    void* const library = ::dlopen(kProfilerLibrary, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library != nullptr) found = find_cpu_profiler(library);
  }
  return found;
}

/// gperftools/heap-profiler.h, which is part of the allocator.
struct HeapProfiler {
  void (*start)(const char* prefix) = symbol<void(const char*)>(RTLD_DEFAULT, "HeapProfilerStart");
  void (*stop)() = symbol<void()>(RTLD_DEFAULT, "HeapProfilerStop");
  int (*is_running)() = symbol<int()>(RTLD_DEFAULT, "IsHeapProfilerRunning");
  char* (*profile)() = symbol<char*()>(RTLD_DEFAULT, "GetHeapProfile");

  [[nodiscard]] bool is_there() const { return start && stop && is_running && profile; }
};

const HeapProfiler& heap_profiler() {
  static const HeapProfiler found;
  return found;
}

http::Response text(unsigned status, std::string_view body) {
  return {status, "text/plain; charset=utf-8", fmt::format("{}\n", body)};
}

}  // namespace

std::optional<std::chrono::seconds> parse_profile_seconds(const std::optional<std::string>& text) {
  if (!text) return kProfileSecondsDefault;
  unsigned seconds = 0;
  const char* const end = text->data() + text->size();
  const auto [last, error] = std::from_chars(text->data(), end, seconds);
  if (error != std::errc{} || last != end || seconds == 0 || seconds > kProfileSecondsMax.count())
    return std::nullopt;
  return std::chrono::seconds(seconds);
}

void Profiling::allow(ProfilingAccess access) {
  const bool was_off = allowed_ == ProfilingAccess::off;
  allowed_ = access;
  const HeapProfiler& heap = heap_profiler();
  if (!heap.is_there() || was_off == (access == ProfilingAccess::off)) return;
  if (was_off) {
    diag::info("the heap profiler writes down every allocation");
    if (heap.is_running() == 0) heap.start(kNoFiles);
  } else {
    heap.stop();
  }
}

void Profiling::add_routes(std::vector<http::Route>& routes, ProfilingAccess access) {
  const auto allowed = [this, access](const http::Reply& reply) {
    if (allowed_ >= access) return true;
    reply(text(404, "Not Found"));
    return false;
  };
  routes.push_back({"GET", "/debug/pprof/profile",
                    [this, allowed](const http::Request& request, http::Reply reply) {
                      if (allowed(reply)) profile(request, std::move(reply));
                    },
                    kProfileSecondsMax + std::chrono::seconds(10)});
  routes.push_back(
      {"GET", "/debug/pprof/heap", [this, allowed](const http::Request&, const http::Reply& reply) {
         if (allowed(reply)) heap(reply);
       }});
  // A reader asks by GET whether names are to be had, and by POST for them.
  routes.push_back({"GET", "/debug/pprof/symbol", [allowed](const http::Request&, const http::Reply& reply) {
                      if (allowed(reply)) reply(text(200, "num_symbols: 1"));
                    }});
  routes.push_back({.method = "POST",
                    .path = "/debug/pprof/symbol",
                    .handler =
                        [allowed](const http::Request& request, const http::Reply& reply) {
                          if (allowed(reply)) reply({.body = answer_symbols(Symbols(), request.body)});
                        },
                    .body_bytes_max = kSymbolsBytesMax});
}

void Profiling::profile(const http::Request& request, http::Reply reply) {
  const auto seconds = parse_profile_seconds(request.parameter("seconds"));
  if (!seconds)
    return reply(text(400, fmt::format("seconds is a number from 1 to {}", kProfileSecondsMax.count())));
  if (file_) return reply(text(409, "a profile is being taken already"));
  if (cpu_profiler().start == nullptr || cpu_profiler().stop == nullptr)
    return reply(text(501, kNeedsProfiler));
  if (const auto started = start(); !started) return reply(text(500, started.error().message()));
  reply_ = std::move(reply);
  timer_.expires_after(*seconds);
  timer_.async_wait([this](boost::system::error_code cancelled) {
    if (!cancelled) end();
  });
}

/// The profiler writes to a file of a name; this one is in memory.
Result<> Profiling::start() {
  UniqueFd file(::memfd_create("fastlogd-profile", MFD_CLOEXEC));
  if (!file) return errno_error("memfd_create");
  if (cpu_profiler().start(fmt::format("/proc/self/fd/{}", file.get()).c_str()) == 0) {
    return invalid("the profiler can't start; is one running already (CPUPROFILE)?");
  }
  file_ = std::move(file);
  return {};
}

void Profiling::end() {
  if (!file_) return;
  timer_.cancel();
  cpu_profiler().stop();
  const http::Reply reply = std::exchange(reply_, nullptr);
  reply(finish());
}

http::Response Profiling::finish() {
  const UniqueFd file = std::move(file_);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return text(500, errno_error("fstat of the profile").message());
  http::Response response{200, "application/octet-stream",
                          std::string(static_cast<std::size_t>(info.st_size), '\0')};
  const auto got =
      posix_file_system().read_at(file.get(), std::as_writable_bytes(std::span(response.body)), 0);
  if (!got) return text(500, got.error().message());
  response.body.resize(*got);
  return response;
}

void Profiling::heap(const http::Reply& reply) {
  const HeapProfiler& heap = heap_profiler();
  if (!heap.is_there() || heap.is_running() == 0) return reply(text(501, kNeedsAllocator));
  char* const profile = heap.profile();
  http::Response response = profile != nullptr ? http::Response{200, "text/plain; charset=utf-8", profile}
                                               : text(500, "the allocator gave no profile");
  std::free(profile);  // NOLINT(cppcoreguidelines-no-malloc): its interface
  reply(std::move(response));
}

}  // namespace fastlogd::daemon
