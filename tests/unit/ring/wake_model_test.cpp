// Walks every interleaving of a sleeper and its wakers, store buffers included, and looks for a lost wake-up: a state in
// which somebody sleeps, everybody else is done or sleeps too, and there is something the sleeper waits for.
//
// The model is x86-TSO: a store that is not seq_cst goes into its thread's store buffer and becomes visible at any later
// moment; a seq_cst store or an exchange empties the buffer first. That is the weakest thing today's processors do with
// these accesses, and it is enough to tell the orders apart.
#include <array>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fastlogd::ring {
namespace {

/// What the tests break on purpose.
struct Protocol {
  bool publish_seq_cst = true;       // the waker's re-store of the position
  bool arm_seq_cst = true;           // the sleeper's store of the flag
  bool recheck_after_arm = true;     // the sleeper's second look
  bool notify_after_publish = true;  // the flag is looked at after the position is stored
};

// Shared words. Direction 0: data (the producer moves `written`, the consumer sleeps); direction 1: space.
enum Word : std::uint8_t { kWritten, kRead, kDataFlag, kSpaceFlag, kDataEvent, kSpaceEvent, kWords };

struct Store {
  Word word;
  int value;
  auto operator<=>(const Store&) const = default;
};

struct Thread {
  int step = 0;  // where in its program
  int mine = 0;  // its own position
  int seen = 0;  // the other's position as last read
  int flag = 0;  // the flag as last read
  std::deque<Store> buffer;
  auto operator<=>(const Thread&) const = default;
};

struct State {
  std::array<int, kWords> memory{};
  std::array<Thread, 2> threads;
  auto operator<=>(const State&) const = default;
};

/// Both sides hand `items_` over through a ring of `capacity_`: the producer sleeps when it is full, the consumer when it
/// is empty, so that both directions are in play at once.
class Model {
 public:
  Model(Protocol protocol, int capacity, int items)
      : protocol_(protocol), capacity_(capacity), items_(items) {}

  /// True if some order ends with somebody asleep for good.
  bool can_lose_a_wake_up() {
    std::vector<State> open{State{}};
    seen_.insert(State{});
    while (!open.empty()) {
      const State state = open.back();
      open.pop_back();
      bool moved = false;
      for (std::size_t t = 0; t < 2; ++t) moved |= explore(state, t, open);
      if (!moved && !(done(state, 0) && done(state, 1))) return true;
    }
    return false;
  }
  std::size_t states() const { return seen_.size(); }

 private:
  enum Step : int { kWork, kCommit, kPublish, kLookAtFlag, kTakeFlag, kArm, kRecheck, kSleep, kDisarm };

  static Word position(std::size_t thread) { return thread == 0 ? kWritten : kRead; }
  static Word others_position(std::size_t thread) { return thread == 0 ? kRead : kWritten; }
  static Word own_flag(std::size_t thread) { return thread == 0 ? kSpaceFlag : kDataFlag; }
  static Word own_event(std::size_t thread) { return thread == 0 ? kSpaceEvent : kDataEvent; }
  static Word others_flag(std::size_t thread) { return own_flag(1 - thread); }
  static Word others_event(std::size_t thread) { return own_event(1 - thread); }

  bool done(const State& state, std::size_t t) const {
    return state.threads[t].mine == items_ && state.threads[t].step == kWork;
  }
  bool can_work(const Thread& thread, std::size_t t) const {
    return t == 0 ? thread.mine - thread.seen < capacity_ : thread.seen > thread.mine;
  }
  static int load(const State& state, std::size_t t, Word word) {
    const auto& buffer = state.threads[t].buffer;
    for (auto it = buffer.rbegin(); it != buffer.rend(); ++it) {
      if (it->word == word) return it->value;
    }
    return state.memory[word];
  }
  static void flush(State& state, std::size_t t) {
    for (const Store& store : state.threads[t].buffer) state.memory[store.word] = store.value;
    state.threads[t].buffer.clear();
  }
  static void store(State& state, std::size_t t, Word word, int value, bool seq_cst) {
    if (seq_cst) {
      flush(state, t);
      state.memory[word] = value;
    } else {
      state.threads[t].buffer.push_back({word, value});
    }
  }

  bool explore(const State& state, std::size_t t, std::vector<State>& open) {
    bool moved = false;
    if (!state.threads[t].buffer.empty()) {  // the oldest buffered store becomes visible
      State next = state;
      const Store store = next.threads[t].buffer.front();
      next.threads[t].buffer.pop_front();
      next.memory[store.word] = store.value;
      visit(next, open);
      moved = true;
    }
    State next = state;
    if (advance(next, t)) {
      visit(next, open);
      moved = true;
    }
    return moved;
  }
  void visit(const State& state, std::vector<State>& open) {
    if (seen_.insert(state).second) open.push_back(state);
  }

  /// One step of thread `t`; false if it sleeps or is done.
  bool advance(State& state, std::size_t t) {
    Thread& thread = state.threads[t];
    switch (thread.step) {
      case kWork:
        if (thread.mine == items_) return false;
        if (!can_work(thread, t)) thread.seen = load(state, t, others_position(t));
        thread.step = can_work(thread, t) ? kCommit : kArm;
        return true;
      case kCommit:
        store(state, t, position(t), ++thread.mine, false);
        thread.step = protocol_.notify_after_publish ? kPublish : kLookAtFlag;
        return true;
      case kPublish:
        store(state, t, position(t), thread.mine, protocol_.publish_seq_cst);
        thread.step = protocol_.notify_after_publish ? kLookAtFlag : kTakeFlag;
        return true;
      case kLookAtFlag:
        thread.flag = load(state, t, others_flag(t));
        thread.step = protocol_.notify_after_publish ? kTakeFlag : kPublish;
        return true;
      case kTakeFlag:
        wake(state, t);
        thread.step = kWork;
        return true;
      case kArm:
        store(state, t, own_flag(t), 1, protocol_.arm_seq_cst);
        thread.step = protocol_.recheck_after_arm ? kRecheck : kSleep;
        return true;
      case kRecheck:
        thread.seen = load(state, t, others_position(t));
        thread.step = can_work(thread, t) ? kDisarm : kSleep;
        return true;
      case kSleep:
        if (state.memory[own_event(t)] == 0) return false;
        thread.step = kDisarm;
        return true;
      case kDisarm:
        store(state, t, own_flag(t), 0, true);
        state.memory[own_event(t)] = 0;
        thread.step = kWork;
        return true;
    }
    return false;
  }
  /// An exchange and, if the flag was still set, a write to the eventfd; both empty the store buffer.
  static void wake(State& state, std::size_t t) {
    if (state.threads[t].flag == 0) return;
    flush(state, t);
    if (state.memory[others_flag(t)] == 1) state.memory[others_event(t)] = 1;
    state.memory[others_flag(t)] = 0;
    state.threads[t].flag = 0;
  }

  Protocol protocol_;
  int capacity_;
  int items_;
  std::set<State> seen_;
};

TEST(WakeModel, P10_LosesNoWakeUpInEitherDirection) {
  for (const int capacity : {1, 2, 3}) {
    Model model(Protocol{}, capacity, 5);
    EXPECT_FALSE(model.can_lose_a_wake_up()) << "capacity " << capacity;
    EXPECT_GT(model.states(), 500U) << "the walk was to be a real one";
  }
}

TEST(WakeModel, P10_FindsTheLossWhenThePositionIsNotPublishedSeqCst) {
  EXPECT_TRUE(Model(Protocol{.publish_seq_cst = false}, 1, 5).can_lose_a_wake_up());
}

TEST(WakeModel, P10_FindsTheLossWhenTheFlagIsNotArmedSeqCst) {
  EXPECT_TRUE(Model(Protocol{.arm_seq_cst = false}, 1, 5).can_lose_a_wake_up());
}

TEST(WakeModel, P10_FindsTheLossWhenTheSleeperDoesNotLookAgain) {
  EXPECT_TRUE(Model(Protocol{.recheck_after_arm = false}, 1, 5).can_lose_a_wake_up());
}

TEST(WakeModel, P10_FindsTheLossWhenTheWakerLooksAtTheFlagFirst) {
  EXPECT_TRUE(Model(Protocol{.notify_after_publish = false}, 1, 5).can_lose_a_wake_up());
}

}  // namespace
}  // namespace fastlogd::ring
