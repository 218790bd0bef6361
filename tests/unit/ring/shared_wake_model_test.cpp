// Walks every interleaving of the two ends of a ring between processes, store buffers included (x86-TSO, as in
// wake_model_test.cpp), and looks for a state in which somebody sleeps for good. The flags differ from WakeSignal's: the
// producer can't take the consumer's flag down, so it remembers which sleep it has rung for; and it sleeps on the bell's
// value, as futex(2) does.
#include <array>
#include <cstdint>
#include <deque>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace fastlogd::ring {
namespace {

/// What the tests break on purpose.
struct SharedProtocol {
  bool written_seq_cst = true;  // commit's store
  bool read_seq_cst = true;     // give_back's store
  bool arm_seq_cst = true;      // the consumer's `attention`
  bool waiting_seq_cst = true;  // the producer's `waiting`
  bool recheck = true;          // both look again after they have said that they sleep
  bool new_number_each_sleep =
      true;  // `attention` counts; else the producer takes the second sleep for the first
  bool bell_before_recheck = true;  // the bell's value is loaded before the last look at `read`
  int room_to_wake = 1;             // items that must be free before the consumer wakes a producer that waits
};

enum SharedWord : std::uint8_t { kWritten, kRead, kAttention, kWaiting, kBell, kDoorbell, kSharedWords };
enum Who : std::size_t { kProducer, kConsumer };

struct Buffered {
  SharedWord word;
  int value;
  auto operator<=>(const Buffered&) const = default;
};

struct Side {
  int step = 0;
  int mine = 0;      // its own position
  int seen = 0;      // the other's position as last read
  int flag = 0;      // the other's flag as last read
  int bell = 0;      // producer: the bell as loaded before the sleep
  int rung_for = 0;  // producer
  int sleeps = 0;    // consumer
  std::deque<Buffered> buffer;
  auto operator<=>(const Side&) const = default;
};

struct SharedState {
  std::array<int, kSharedWords> memory{};
  std::array<Side, 2> sides;
  auto operator<=>(const SharedState&) const = default;
};

class SharedModel {
 public:
  SharedModel(SharedProtocol protocol, int capacity, int items)
      : protocol_(protocol), capacity_(capacity), items_(items) {}

  bool can_lose_a_wake_up() {
    std::vector<SharedState> open{SharedState{}};
    seen_.insert(SharedState{});
    while (!open.empty()) {
      const SharedState state = open.back();
      open.pop_back();
      bool moved = false;
      for (const Who who : {kProducer, kConsumer}) moved |= explore(state, who, open);
      if (!moved && !(done(state, kProducer) && done(state, kConsumer))) return true;
    }
    return false;
  }
  std::size_t states() const { return seen_.size(); }

 private:
  enum Step : int { kWork, kMove, kLook, kWake, kLoadBell, kArm, kRecheck, kSleep, kDisarm };

  bool done(const SharedState& state, Who who) const {
    return state.sides[who].mine == items_ && state.sides[who].step == kWork;
  }
  bool can_work(const Side& side, Who who) const {
    return who == kProducer ? side.mine - side.seen < capacity_ : side.seen > side.mine;
  }
  static int load(const SharedState& state, Who who, SharedWord word) {
    const auto& buffer = state.sides[who].buffer;
    for (auto it = buffer.rbegin(); it != buffer.rend(); ++it) {
      if (it->word == word) return it->value;
    }
    return state.memory[word];
  }
  static void flush(SharedState& state, Who who) {
    for (const Buffered& store : state.sides[who].buffer) state.memory[store.word] = store.value;
    state.sides[who].buffer.clear();
  }
  static void store(SharedState& state, Who who, SharedWord word, int value, bool seq_cst) {
    state.sides[who].buffer.push_back({word, value});
    if (seq_cst) flush(state, who);
  }

  bool explore(const SharedState& state, Who who, std::vector<SharedState>& open) {
    bool moved = false;
    if (!state.sides[who].buffer.empty()) {
      SharedState next = state;
      const Buffered first = next.sides[who].buffer.front();
      next.sides[who].buffer.pop_front();
      next.memory[first.word] = first.value;
      visit(next, open);
      moved = true;
    }
    SharedState next = state;
    if (advance(next, who)) {
      visit(next, open);
      moved = true;
    }
    return moved;
  }
  void visit(const SharedState& state, std::vector<SharedState>& open) {
    if (seen_.insert(state).second) open.push_back(state);
  }

  bool advance(SharedState& state, Who who) {
    Side& side = state.sides[who];
    const bool producer = who == kProducer;
    const SharedWord others_position = producer ? kRead : kWritten;
    const int sleep_step = protocol_.recheck ? kRecheck : kSleep;
    switch (side.step) {
      case kWork:
        if (side.mine == items_) return false;
        if (!can_work(side, who)) side.seen = load(state, who, others_position);
        side.step =
            can_work(side, who) ? kMove : (producer && protocol_.bell_before_recheck ? kLoadBell : kArm);
        return true;
      case kMove:
        store(state, who, producer ? kWritten : kRead, ++side.mine,
              producer ? protocol_.written_seq_cst : protocol_.read_seq_cst);
        side.step = kLook;
        return true;
      case kLook:
        side.flag = load(state, who, producer ? kAttention : kWaiting);
        side.step = kWake;
        return true;
      case kWake:
        wake(state, who);
        side.step = kWork;
        return true;
      case kLoadBell:
        side.bell = load(state, who, kBell);
        side.step = protocol_.bell_before_recheck ? kArm : kSleep;
        return true;
      case kArm:
        arm(state, who);
        side.step = sleep_step;
        return true;
      case kRecheck:
        side.seen = load(state, who, others_position);
        side.step =
            can_work(side, who) ? kDisarm : (producer && !protocol_.bell_before_recheck ? kLoadBell : kSleep);
        return true;
      case kSleep:  // both system calls empty the store buffer
        flush(state, who);
        if (producer ? state.memory[kBell] == side.bell : state.memory[kDoorbell] == 0) return false;
        side.step = kDisarm;
        return true;
      case kDisarm:
        disarm(state, who);
        side.step = kWork;
        return true;
    }
    return false;
  }

  void arm(SharedState& state, Who who) const {
    Side& side = state.sides[who];
    if (who == kProducer) return store(state, who, kWaiting, 1, protocol_.waiting_seq_cst);
    if (protocol_.new_number_each_sleep || side.sleeps == 0) ++side.sleeps;
    store(state, who, kAttention, side.sleeps * 2 - 1, protocol_.arm_seq_cst);
  }
  static void disarm(SharedState& state, Who who) {
    if (who == kProducer) return store(state, who, kWaiting, 0, false);
    state.memory[kDoorbell] = 0;  // what rang so far
    store(state, who, kAttention, state.sides[who].sleeps * 2, false);
  }
  void wake(SharedState& state, Who who) const {
    Side& side = state.sides[who];
    if (who == kProducer && side.flag % 2 == 1 && side.flag != side.rung_for) {
      side.rung_for = side.flag;
      flush(state, who);
      state.memory[kDoorbell] = 1;
    }
    const int free = capacity_ - (side.seen - side.mine);
    if (who == kConsumer && side.flag == 1 && free >= protocol_.room_to_wake) {
      store(state, who, kWaiting, 0, false);
      flush(state, who);
      ++state.memory[kBell];
    }
    side.flag = 0;
  }

  SharedProtocol protocol_;
  int capacity_;
  int items_;
  std::set<SharedState> seen_;
};

TEST(SharedWakeModel, LosesNoWakeUpInEitherDirection) {
  for (const int capacity : {1, 2, 3}) {
    SharedModel model(SharedProtocol{}, capacity, 4);
    EXPECT_FALSE(model.can_lose_a_wake_up()) << "capacity " << capacity;
    EXPECT_GT(model.states(), 500U) << "the walk was to be a real one";
  }
}

TEST(SharedWakeModel, LosesNoneIfTheConsumerWakesForAPartOfTheRing) {
  for (const int part : {2, 3}) {
    SharedModel model(SharedProtocol{.room_to_wake = part}, 3, 6);
    EXPECT_FALSE(model.can_lose_a_wake_up()) << part << " of 3";
  }
}

TEST(SharedWakeModel, FindsTheLossIfItWakesForMoreThanThereEverIs) {
  EXPECT_TRUE(SharedModel(SharedProtocol{.room_to_wake = 4}, 3, 6).can_lose_a_wake_up());
}

TEST(SharedWakeModel, FindsEveryOrderThatIsTooWeak) {
  EXPECT_TRUE(SharedModel(SharedProtocol{.written_seq_cst = false}, 2, 4).can_lose_a_wake_up());
  EXPECT_TRUE(SharedModel(SharedProtocol{.read_seq_cst = false}, 1, 4).can_lose_a_wake_up());
  EXPECT_TRUE(SharedModel(SharedProtocol{.arm_seq_cst = false}, 2, 4).can_lose_a_wake_up());
  EXPECT_TRUE(SharedModel(SharedProtocol{.waiting_seq_cst = false}, 1, 4).can_lose_a_wake_up());
}

TEST(SharedWakeModel, FindsTheLossWhenNobodyLooksAgain) {
  EXPECT_TRUE(SharedModel(SharedProtocol{.recheck = false}, 2, 4).can_lose_a_wake_up());
}

TEST(SharedWakeModel, FindsTheLossWhenTwoSleepsLookAlike) {
  EXPECT_TRUE(SharedModel(SharedProtocol{.new_number_each_sleep = false}, 2, 4).can_lose_a_wake_up());
}

TEST(SharedWakeModel, FindsTheLossWhenTheBellIsLoadedTooLate) {
  EXPECT_TRUE(SharedModel(SharedProtocol{.bell_before_recheck = false}, 1, 4).can_lose_a_wake_up());
}

}  // namespace
}  // namespace fastlogd::ring
