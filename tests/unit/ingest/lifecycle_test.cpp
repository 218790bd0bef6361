// Prepare, commit, reload.
#include <fcntl.h>
#include <sys/stat.h>

#include <gmock/gmock.h>

#include "fixture.hpp"

namespace fastlogd::ingest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class Lifecycle : public FrontEndTest {
 protected:
  ListenerOptions unix_listener(const std::string& name,
                                ListenerTransport transport = ListenerTransport::unix_stream) const {
    return {.name = name, .transport = transport, .path = path(name)};
  }
  std::string why_refused(std::vector<ListenerOptions> listeners) {
    auto prepared = front_end_->prepare(listeners);
    return prepared ? "accepted" : prepared.error().message();
  }
  /// As a service manager does it.
  UniqueFd bound_elsewhere(const std::string& file) const {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path(file).c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(socket.get(), 8), 0);
    return socket;
  }
  /// Why listeners that inherit a socket of this name, bound at `file`, can't be opened; empty: they are.
  std::string inherit(const std::string& name, const std::string& file,
                      const std::vector<ListenerOptions>& listeners) {
    std::vector<InheritedSocket> inherited;
    inherited.push_back(InheritedSocket{.name = name, .fd = bound_elsewhere(file)});
    auto prepared = front_end_->prepare(listeners, std::move(inherited));
    if (!prepared) return prepared.error().message();
    front_end_->commit(std::move(*prepared));
    return {};
  }
  bool exists(const std::string& name) const { return std::filesystem::exists(path(name)); }
};

TEST_F(Lifecycle, ReplacesAStaleSocketFile) {
  {
    const UniqueFd gone(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path("app").c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(gone.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ASSERT_TRUE(exists("app"));
  run({unix_listener("app")});
  ASSERT_TRUE(send_all(stream(), "served\n"));
  EXPECT_TRUE(collector_->wait_for(1));
}

TEST_F(Lifecycle, RefusesASocketThatSomebodyAnswersAndSaysWhy) {
  run({});
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    const std::string name = type == SOCK_STREAM ? "stream" : "dgram";
    const UniqueFd other(::socket(AF_UNIX, type, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path(name).c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(other.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_TRUE(type == SOCK_DGRAM || ::listen(other.get(), 1) == 0);
    EXPECT_THAT(why_refused({unix_listener(name)}), HasSubstr("another program listens on " + path(name)));
    EXPECT_THAT(why_refused({unix_listener(name, ListenerTransport::unix_datagram)}),
                HasSubstr("another program listens on " + path(name)));
    EXPECT_TRUE(exists(name));
  }
}

TEST_F(Lifecycle, DoesNotRemoveAFileThatIsNoSocket) {
  run({});
  {
    const UniqueFd file(::open(path("app").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  }
  EXPECT_THAT(why_refused({unix_listener("app")}), HasSubstr("is no socket"));
  EXPECT_TRUE(exists("app"));
}

TEST_F(Lifecycle, NamesTheListenerAndTheReasonOfEveryRefusal) {
  run({});
  ListenerOptions other = unix_listener("b");
  other.path = path("a");
  EXPECT_THAT(why_refused({unix_listener("a"), other}), HasSubstr("listener a has the same address"));
  other = unix_listener("c");
  other.stream = "nowhere";
  EXPECT_THAT(why_refused({other}), HasSubstr("listener c"));
  EXPECT_THAT(why_refused({other}), HasSubstr("there is no stream nowhere"));
  EXPECT_THAT(why_refused({{.name = "d", .transport = ListenerTransport::tcp, .address = "localhost"}}),
              HasSubstr("no numeric IPv4 or IPv6 address"));
  EXPECT_THAT(why_refused({unix_listener(std::string(200, 'x'))}), HasSubstr("bytes"));
}

TEST_F(Lifecycle, SetsTheConfiguredModeWhateverTheUmask) {
  const mode_t old = ::umask(077);
  ListenerOptions open_to_all = unix_listener("open");
  open_to_all.mode = 0666;
  ListenerOptions group_only = unix_listener("group", ListenerTransport::unix_datagram);
  group_only.mode = 0660;
  run({open_to_all, group_only});
  ::umask(old);
  const auto mode_of = [&](const std::string& name) {
    struct stat status{};
    EXPECT_EQ(::stat(path(name).c_str(), &status), 0);
    return status.st_mode & 07777;
  };
  EXPECT_EQ(mode_of("open"), 0666U);
  EXPECT_EQ(mode_of("group"), 0660U);
  group_only.mode = 0600;
  reload({open_to_all, group_only});
  EXPECT_EQ(mode_of("group"), 0600U);
}

TEST_F(Lifecycle, UndoesAPreparationThatIsDropped) {
  run({});
  {
    auto prepared = front_end_->prepare({unix_listener("app")});
  }
  EXPECT_FALSE(exists("app"));
}

TEST_F(Lifecycle, KeepsConnectionsOfUnchangedListenersOverAReload) {
  run({unix_listener("app")});
  const UniqueFd client = stream();
  ASSERT_TRUE(send_all(client, "before, "));
  ASSERT_TRUE(eventually([&] { return front_end_->open_connections() == 1; }));
  ListenerOptions changed = unix_listener("app");
  changed.format = ListenerFormat::raw;
  reload({changed, unix_listener("second")});
  ASSERT_TRUE(send_all(client, "after\n<13>a: still as it was\n"));
  ASSERT_TRUE(collector_->wait_for(2));
  ASSERT_TRUE(send_all(stream(), "<13>a: new connections see it\n"));
  ASSERT_TRUE(collector_->wait_for(3));
  EXPECT_THAT(collector_->slices(),
              ElementsAre("before, after", "still as it was", "<13>a: new connections see it"));
}

TEST_F(Lifecycle, ReadsWhatARemovedListenersConnectionsHadSent) {
  run({unix_listener("app"), unix_listener("other")}, IoOptions{.threads = 2});
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(stream());
    ASSERT_TRUE(send_all(clients.back(), "one\ntwo\nunfinished"));
  }
  reload({unix_listener("other")});
  EXPECT_FALSE(exists("app"));
  for (const UniqueFd& client : clients) EXPECT_TRUE(is_closed_by_peer(client));
  EXPECT_TRUE(collector_->wait_for(24));
  const auto removed = static_cast<std::size_t>(CloseReason::removed);
  EXPECT_EQ(sum("app", [&](const auto& c) { return c.closed_connections[removed].value(); }), 8U);
}

TEST_F(Lifecycle, ChangesTheTransportOfAPath) {
  run({unix_listener("app")});
  reload({unix_listener("app", ListenerTransport::unix_datagram)});
  EXPECT_TRUE(eventually([&] {
    const UniqueFd client = connect_unix(path("app"), SOCK_DGRAM);
    return client && send_all(client, "datagram");
  }));
  EXPECT_TRUE(collector_->wait_for(1));
  reload({});
  EXPECT_FALSE(exists("app"));
}

TEST_F(Lifecycle, OpensAListenerAnewWhoseSocketFileIsGone) {
  const std::vector<ListenerOptions> listeners = {
      unix_listener("app"), unix_listener("log", ListenerTransport::unix_datagram), unix_listener("kept")};
  run(listeners);
  const UniqueFd kept = connect_unix(path("kept"), SOCK_STREAM);
  EXPECT_THAT(front_end_->listeners_without_file(), SizeIs(0));
  std::filesystem::remove(path("app"));
  std::filesystem::remove(path("log"));
  EXPECT_THAT(front_end_->listeners_without_file(), ElementsAre("app", "log"));
  reload(listeners);
  EXPECT_THAT(front_end_->listeners_without_file(), SizeIs(0));
  ASSERT_TRUE(send_all(stream(), "found again\n"));
  ASSERT_TRUE(send_all(datagram(), "and again"));
  ASSERT_TRUE(send_all(kept, "as before\n"));
  EXPECT_TRUE(collector_->wait_for(3));
}

TEST_F(Lifecycle, LeavesASocketAloneThatSomebodyPutInItsPlace) {
  run({unix_listener("app")});
  std::filesystem::remove(path("app"));
  const UniqueFd other(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path("app").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(other.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(other.get(), 1), 0);
  EXPECT_THAT(front_end_->listeners_without_file(), ElementsAre("app"));
  EXPECT_THAT(why_refused({unix_listener("app")}), HasSubstr("another program listens on"));
  reload({});
  EXPECT_TRUE(exists("app"));
}

TEST_F(Lifecycle, GoesOnCountingUnderAListenersName) {
  run({unix_listener("app")});
  ASSERT_TRUE(send_all(stream(), "one\n"));
  ASSERT_TRUE(collector_->wait_for(1));
  reload({});
  reload({unix_listener("app")});
  ASSERT_TRUE(send_all(stream(), "two\n"));
  ASSERT_TRUE(collector_->wait_for(2));
  EXPECT_EQ(sum("app", [](const auto& c) { return c.received_records.value(); }), 2U);
}

TEST_F(Lifecycle, TakesNewLimitsWhileConnectionsStay) {
  run({unix_listener("app")});
  const UniqueFd client = stream();
  ASSERT_TRUE(send_all(client, std::string(2000, 'a') + "\n"));
  ASSERT_TRUE(collector_->wait_for(1));
  front_end_->apply_limits(LimitOptions{.record_bytes_max = 1000});
  std::this_thread::sleep_for(std::chrono::milliseconds(400));  // an idle cycle takes them
  ASSERT_TRUE(send_all(client, std::string(2000, 'b') + "\n"));
  ASSERT_TRUE(collector_->wait_for(2));
  EXPECT_THAT(collector_->slices(), ElementsAre(std::string(2000, 'a'), std::string(1000, 'b')));
}

TEST_F(Lifecycle, TakesOverASocketThatItInherits) {
  UniqueFd given = bound_elsewhere("app");
  const UniqueFd early = stream();
  ASSERT_TRUE(send_all(early, "before the daemon\n"));
  run({});
  std::vector<InheritedSocket> inherited;
  inherited.push_back(InheritedSocket{.name = "", .fd = std::move(given)});
  auto prepared = front_end_->prepare({unix_listener("app")}, std::move(inherited));
  ASSERT_TRUE(prepared) << prepared.error().message();
  front_end_->commit(std::move(*prepared));
  EXPECT_TRUE(collector_->wait_for(1));
  EXPECT_TRUE(front_end_->stop(std::chrono::seconds(5)));
  EXPECT_TRUE(exists("app")) << "it is not ours to remove";
}

TEST_F(Lifecycle, TakesNoInheritedSocketOfAnotherPathForItsName) {
  run({});
  EXPECT_EQ(inherit("app", "elsewhere", {unix_listener("app")}), "");
  EXPECT_TRUE(exists("app")) << "bound as configured";
  ASSERT_TRUE(send_all(stream(), "where senders are told to send to\n"));
  EXPECT_TRUE(collector_->wait_for(1));
}

TEST_F(Lifecycle, FindsAnInheritedSocketByAnotherPathOfItsFile) {
  run({});
  std::filesystem::create_directory_symlink(folder_, path("link"));
  ListenerOptions listener = unix_listener("app");
  listener.path = path("link") + "/app";
  EXPECT_EQ(inherit("app", "app", {listener}), "");
  ASSERT_TRUE(send_all(stream(), "one and the same\n"));
  EXPECT_TRUE(collector_->wait_for(1));
}

TEST_F(Lifecycle, RefusesToChangeTheModeOfASocketThatItInherited) {
  run({});
  ListenerOptions listener = unix_listener("app");
  listener.mode = 0666;
  EXPECT_EQ(inherit("app", "app", {listener}), "");
  listener.mode = 0600;
  EXPECT_THAT(why_refused({listener}), HasSubstr("SocketMode= of its unit says who may connect"));
  ASSERT_EQ(::chmod(path("app").c_str(), 0600), 0);
  EXPECT_EQ(why_refused({listener}), "accepted") << "the configuration says what is";
}

TEST_F(Lifecycle, ShowsDutyCyclesAndThreadsWhileIdle) {
  run({}, IoOptions{.threads = 2});
  const auto before = front_end_->duty_cycles();
  ASSERT_THAT(before, SizeIs(2));
  EXPECT_TRUE(eventually([&] {
    const auto now = front_end_->duty_cycles();
    return now[0] > before[0] + 1 && now[1] > before[1] + 1;
  }));
  for (const pid_t id : front_end_->thread_ids()) EXPECT_GT(id, 0);
}

}  // namespace
}  // namespace fastlogd::ingest
