#include "async/stream.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "async/async_testing.hpp"
#include "async/wait.hpp"

namespace tacit::async {
namespace {

using Pair = std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>>;

Pair make_pair(asio::io_context& io) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  auto a = wrap_fd(io.get_executor(), UniqueFd{ends[0]});
  auto b = wrap_fd(io.get_executor(), UniqueFd{ends[1]});
  return {std::move(a).value(), std::move(b).value()};
}

Async<std::string> read_text(Stream& stream, Deadline deadline = Deadline::after(Seconds{30})) {
  std::array<std::byte, 64> buffer;
  TACIT_CO_TRY(const auto n, co_await stream.read_some(buffer, deadline));
  co_return std::string{as_text(BytesView{buffer}.first(n))};
}

Task<> write_all(Stream& stream, std::size_t bytes, std::optional<Result<void>>& out,
                 Deadline deadline) {
  const Bytes data(bytes, std::byte{'x'});
  out = co_await stream.write(BytesView{data}, deadline);
}

Task<> read_one(Stream& stream, Deadline deadline, std::optional<Result<std::string>>& out) {
  out = co_await read_text(stream, deadline);
}

TACIT_ASYNC_TEST(Stream, GatheredWriteAndOrderlyEnd) {
  auto [a, b] = make_pair(io);
  const std::array parts{as_bytes("one "), as_bytes(""), as_bytes("two"), as_bytes("")};
  EXPECT_TRUE((co_await a->write(std::span<const BytesView>{parts}, Deadline::after(Seconds{5})))
                  .has_value());
  EXPECT_EQ((co_await read_text(*b)).value_or("failed"), "one two");
  co_await a->shutdown(Deadline::after(Seconds{5}));
  EXPECT_EQ((co_await read_text(*b)).value_or("failed"), "");
  EXPECT_EQ(a->peer().str(), "unix");
  EXPECT_FALSE(a->tls());
}

TACIT_ASYNC_TEST(Stream, ReadDeadlineLeavesTheStreamUsable) {
  auto [a, b] = make_pair(io);
  const auto late = co_await read_text(*b, Deadline::after(Milliseconds{2}));
  TACIT_CO_ASSERT(!late);
  EXPECT_EQ(late.error().code(), Code::deadline_exceeded);
  EXPECT_TRUE((co_await a->write(as_bytes("on"), Deadline::never())).has_value());
  EXPECT_EQ((co_await read_text(*b)).value_or("failed"), "on");
}

TACIT_ASYNC_TEST(Stream, WriteWaitsForTheReaderAndTimesOut) {
  auto [a, b] = make_pair(io);
  TaskGroup group{io.get_executor()};
  std::optional<Result<void>> written;
  group.spawn(write_all(*a, 8U << 20U, written, Deadline::after(Milliseconds{20})));
  EXPECT_TRUE(co_await group.join(Deadline::never()));
  TACIT_CO_ASSERT(written && !*written);
  EXPECT_EQ(written->error().code(), Code::deadline_exceeded);
}

TACIT_ASYNC_TEST(Stream, BigWriteArrivesWhole) {
  auto [a, b] = make_pair(io);
  TaskGroup group{io.get_executor()};
  std::optional<Result<void>> written;
  constexpr std::size_t kBytes = 4U << 20U;
  group.spawn(write_all(*a, kBytes, written, Deadline::never()));
  std::size_t total = 0;
  Bytes buffer(100'000);
  while (total < kBytes) {
    const auto n = co_await b->read_some(buffer, Deadline::after(Seconds{20}));
    TACIT_CO_ASSERT(n && *n > 0);
    total += *n;
  }
  EXPECT_TRUE(co_await group.join(Deadline::never()));
  EXPECT_TRUE(written && written->has_value());
}

// The read's deadline must not disturb a write that waits on the same socket.
TACIT_ASYNC_TEST(Stream, OneUsersDeadlineSparesTheOther) {
  auto [a, b] = make_pair(io);
  TaskGroup group{io.get_executor()};
  std::optional<Result<void>> written;
  std::optional<Result<std::string>> read;
  group.spawn(write_all(*a, 4U << 20U, written, Deadline::after(Seconds{30})));
  group.spawn(read_one(*a, Deadline::after(Milliseconds{5}), read));
  (void)co_await sleep_for(Milliseconds{20});
  TACIT_CO_ASSERT(read && !*read);
  EXPECT_EQ(read->error().code(), Code::deadline_exceeded);
  EXPECT_FALSE(written);
  Bytes buffer(1U << 20U);
  for (std::size_t total = 0; total < 4U << 20U;) {
    const auto n = co_await b->read_some(buffer, Deadline::after(Seconds{20}));
    TACIT_CO_ASSERT(n && *n > 0);
    total += *n;
  }
  EXPECT_TRUE(co_await group.join(Deadline::never()));
  EXPECT_TRUE(written && written->has_value());
}

TACIT_ASYNC_TEST(Stream, CloseAndCancelWakeTheReader) {
  for (const bool by_close : {true, false}) {
    auto [a, b] = make_pair(io);
    TaskGroup group{io.get_executor()};
    std::optional<Result<std::string>> read;
    group.spawn(read_one(*b, Deadline::after(Seconds{1000}), read));
    co_await yield();
    if (by_close) {
      b->close();
      b->close();
    } else {
      group.cancel();
    }
    EXPECT_TRUE(co_await group.join(Deadline::never()));
    TACIT_CO_ASSERT(read && !*read);
    EXPECT_EQ(read->error().code(), Code::cancelled);
  }
}

TACIT_ASYNC_TEST(Stream, WritingToAGoneReaderIsAnErrorNotASignal) {
  auto [a, b] = make_pair(io);
  b->close();
  const auto written = co_await a->write(as_bytes("x"), Deadline::never());
  TACIT_CO_ASSERT(!written);
  EXPECT_EQ(written.error().code(), Code::io);
}

TACIT_ASYNC_TEST(Stream, WaitReadable) {
  auto [a, b] = make_pair(io);
  EXPECT_FALSE((co_await b->wait_readable(Deadline::after(Milliseconds{2}))).has_value());
  EXPECT_TRUE((co_await a->write(as_bytes("x"), Deadline::never())).has_value());
  EXPECT_TRUE((co_await b->wait_readable(Deadline::after(Seconds{30}))).has_value());
  EXPECT_TRUE((co_await b->wait_readable(Deadline::after(Seconds{30}))).has_value());
  EXPECT_EQ((co_await read_text(*b)).value_or("failed"), "x");
}

TACIT_ASYNC_TEST(Listener, TcpRoundTrip) {
  auto listener = Listener::bind(io.get_executor(), {.host = "127.0.0.1"});
  TACIT_CO_ASSERT(listener);
  EXPECT_NE((*listener)->port(), 0);
  auto client = co_await connect({.host = "127.0.0.1", .port = (*listener)->port()}, nullptr,
                                 Deadline::after(Seconds{10}));
  TACIT_CO_ASSERT(client);
  auto server = co_await (*listener)->accept();
  TACIT_CO_ASSERT(server);
  EXPECT_TRUE((co_await (*client)->write(as_bytes("hi"), Deadline::never())).has_value());
  EXPECT_EQ((co_await read_text(**server)).value_or("failed"), "hi");
  EXPECT_EQ((*server)->peer().str().substr(0, 10), "127.0.0.1:");
  (*listener)->close();
  const auto closed = co_await (*listener)->accept();
  TACIT_CO_ASSERT(!closed);
  EXPECT_EQ(closed.error().code(), Code::cancelled);
}

TACIT_ASYNC_TEST(Listener, SharesItsPortOnlyWithinTheProcess) {
  auto first = Listener::bind(io.get_executor(), {.host = "127.0.0.1"});
  TACIT_CO_ASSERT(first);
  const Endpoint same{.host = "127.0.0.1", .port = (*first)->port()};
  auto second = Listener::bind(io.get_executor(), same, false);
  EXPECT_TRUE(second.has_value());
  const auto stranger = Listener::bind(io.get_executor(), same, true);
  TACIT_CO_ASSERT(!stranger);
  EXPECT_EQ(stranger.error().code(), Code::already_exists);
}

TACIT_ASYNC_TEST(Listener, ConnectToNobodyIsUnavailable) {
  auto gone = Listener::bind(io.get_executor(), {.host = "127.0.0.1"});
  TACIT_CO_ASSERT(gone);
  const auto port = (*gone)->port();
  (*gone)->close();
  const auto refused =
      co_await connect({.host = "127.0.0.1", .port = port}, nullptr, Deadline::after(Seconds{10}));
  TACIT_CO_ASSERT(!refused);
  EXPECT_EQ(refused.error().code(), Code::unavailable);
  const auto nowhere = co_await connect({.host = "no-such-host.invalid", .port = 1}, nullptr,
                                        Deadline::after(Seconds{20}));
  TACIT_CO_ASSERT(!nowhere);
  EXPECT_TRUE(nowhere.error().code() == Code::unavailable ||
              nowhere.error().code() == Code::deadline_exceeded);
}

TACIT_ASYNC_TEST(Listener, LocalhostIsFoundByName) {
  auto listener = Listener::bind(io.get_executor(), {.host = "localhost"});
  TACIT_CO_ASSERT(listener);
  const auto client = co_await connect({.host = "localhost", .port = (*listener)->port()}, nullptr,
                                       Deadline::after(Seconds{20}));
  EXPECT_TRUE(client.has_value());
}

TACIT_ASYNC_TEST(Listener, MissingFolderOfAUnixSocketIsNamed) {
  const auto listener = Listener::bind(io.get_executor(), {.unix_path = "/no/such/folder/x.sock"});
  TACIT_CO_ASSERT(!listener);
  EXPECT_EQ(listener.error().code(), Code::not_found);
  EXPECT_EQ(listener.error().subject(), "/no/such/folder/x.sock");
  EXPECT_FALSE(listener.error().fix().empty());
}

TACIT_ASYNC_TEST(Listener, UnixSocket) {
  const auto folder = std::filesystem::path{::testing::TempDir()};
  const std::string path = folder / ("tacit-" + std::to_string(::getpid()) + ".sock");
  const Endpoint endpoint{.unix_path = path};
  {
    auto listener = Listener::bind(io.get_executor(), endpoint);
    TACIT_CO_ASSERT(listener);
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    const auto taken = Listener::bind(io.get_executor(), endpoint);
    TACIT_CO_ASSERT(!taken);
    EXPECT_EQ(taken.error().code(), Code::already_exists);
    auto client = co_await connect(endpoint, nullptr, Deadline::after(Seconds{10}));
    TACIT_CO_ASSERT(client);
    auto server = co_await (*listener)->accept();
    TACIT_CO_ASSERT(server);
    EXPECT_EQ((*server)->peer().str(), "unix");
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  {  // a socket file that nobody serves any more is replaced
    const UniqueFd stale{::socket(AF_UNIX, SOCK_STREAM, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(stale.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  EXPECT_TRUE(Listener::bind(io.get_executor(), endpoint).has_value());
  std::ofstream{path} << "a file, not a socket";
  EXPECT_FALSE(Listener::bind(io.get_executor(), endpoint).has_value());
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace tacit::async
