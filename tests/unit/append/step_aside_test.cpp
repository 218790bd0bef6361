#include "append/step_aside.hpp"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace fastlogd::append {
namespace {

cpu_set_t affinity() {
  cpu_set_t set{};
  EXPECT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  return set;
}

void pin_to(int cpu) {
  cpu_set_t one{};
  CPU_SET(static_cast<unsigned>(cpu), &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
}

/// The first two processors this process may use.
std::vector<int> two_cpus() {
  const cpu_set_t all = affinity();
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE && cpus.size() < 2; ++cpu) {
    if (CPU_ISSET(static_cast<unsigned>(cpu), &all)) cpus.push_back(cpu);
  }
  return cpus;
}

TEST(StepAside, LeavesTheAppendersProcessorAndReturnsWhenItMovesOn) {
  const auto cpus = two_cpus();
  if (cpus.size() < 2) GTEST_SKIP() << "one processor alone";
  AppenderCpu appender;
  const auto note_from = [&](int cpu) {
    std::thread([&] {
      pin_to(cpu);
      appender.note();
    }).join();
  };
  std::thread([&] {
    const cpu_set_t before = affinity();
    StepAside aside(appender);
    aside.move();
    cpu_set_t now = affinity();
    EXPECT_TRUE(CPU_EQUAL(&now, &before)) << "nobody has said yet where the appender runs";
    for (const int cpu : {cpus[0], cpus[1], cpus[0]}) {
      note_from(cpu);
      EXPECT_EQ(appender.get(), cpu);
      aside.move();
      now = affinity();
      cpu_set_t expected = before;
      CPU_CLR(static_cast<unsigned>(cpu), &expected);
      EXPECT_TRUE(CPU_EQUAL(&now, &expected)) << "all it was given but " << cpu;
      EXPECT_NE(::sched_getcpu(), cpu);
    }
  }).join();
}

TEST(StepAside, StaysWhereItIsWhenItHasOneProcessorAlone) {
  AppenderCpu appender;
  std::thread([&] {
    pin_to(two_cpus().front());
    appender.note();
    StepAside aside(appender);
    aside.move();
    const cpu_set_t now = affinity();
    EXPECT_EQ(CPU_COUNT(&now), 1);
  }).join();
}

}  // namespace
}  // namespace fastlogd::append
