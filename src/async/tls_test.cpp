#include <fstream>

#include <sys/socket.h>

#include "async/async_testing.hpp"
#include "async/stream.hpp"
#include "async/tls_testing.hpp"
#include "async/wait.hpp"

namespace tacit::async {
namespace {

Deadline soon() { return Deadline::after(Seconds{30}); }

using Accepted = std::optional<Result<std::unique_ptr<Stream>>>;

Task<> serve_one(std::unique_ptr<Stream> plain, std::shared_ptr<TlsServerContext> tls,
                 Accepted& out, Deadline deadline) {
  out.emplace(co_await accept_tls(std::move(plain), std::move(tls), deadline));
}

struct Ends {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
};

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> sockets(
    const asio::any_io_executor& on) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {wrap_fd(on, UniqueFd{ends[0]}).value(), wrap_fd(on, UniqueFd{ends[1]}).value()};
}

// Both handshakes over a socket pair; the client's error when there is one.
Async<Ends> handshake(const TestCertificate& certificate, TlsClientContext::Options options,
                      std::string host) {
  const auto executor = co_await asio::this_coro::executor;
  auto [client, server] = sockets(executor);
  TACIT_CO_TRY(auto server_tls, TlsServerContext::from_files(certificate.certificate_file(),
                                                             certificate.key_file()));
  TACIT_CO_TRY(auto client_tls, TlsClientContext::create(options));
  TaskGroup group{executor};
  Accepted accepted;
  group.spawn(serve_one(std::move(server), server_tls, accepted, soon()));
  auto connected = co_await start_tls(std::move(client), host, client_tls, soon());
  (void)co_await group.join(soon());
  TACIT_CO_TRY(auto secured, std::move(connected));
  TACIT_CO_TRY(auto other, *std::move(accepted));
  co_return Ends{std::move(secured), std::move(other)};
}

Async<std::string> read_text(Stream& stream) {
  std::array<std::byte, 64> buffer;
  TACIT_CO_TRY(const auto n, co_await stream.read_some(buffer, soon()));
  co_return std::string{as_text(BytesView{buffer}.first(n))};
}

TACIT_ASYNC_TEST(Tls, NegotiatesHybridPostQuantumByDefault) {
  const TestCertificate certificate{"tacit.test"};
  auto ends =
      co_await handshake(certificate, {.ca_file = certificate.certificate_file()}, "tacit.test");
  TACIT_CO_ASSERT(ends);
  for (const auto* end : {ends->client.get(), ends->server.get()}) {
    const auto info = end->tls();
    TACIT_CO_ASSERT(info);
    EXPECT_EQ(info->version, "TLSv1.3");
    EXPECT_EQ(info->group, "X25519MLKEM768");
    EXPECT_NE(info->cipher, "");
  }
  const std::array parts{as_bytes("over "), as_bytes("TLS")};
  EXPECT_TRUE(
      (co_await ends->client->write(std::span<const BytesView>{parts}, soon())).has_value());
  EXPECT_EQ((co_await read_text(*ends->server)).value_or("failed"), "over TLS");
  EXPECT_TRUE((co_await ends->server->write(as_bytes("back"), soon())).has_value());
  EXPECT_EQ((co_await read_text(*ends->client)).value_or("failed"), "back");
  co_await ends->client->shutdown(soon());
  EXPECT_EQ((co_await read_text(*ends->server)).value_or("failed"), "");
}

TACIT_ASYNC_TEST(Tls, AddressesAreVerifiedAsAddresses) {
  const TestCertificate certificate{"127.0.0.1"};
  const TlsClientContext::Options trust{.ca_file = certificate.certificate_file()};
  EXPECT_TRUE((co_await handshake(certificate, trust, "127.0.0.1")).has_value());
  const auto other = co_await handshake(certificate, trust, "127.0.0.2");
  TACIT_CO_ASSERT(!other);
  EXPECT_EQ(other.error().code(), Code::forbidden);
}

TACIT_ASYNC_TEST(Tls, WrongNameOrUnknownIssuerIsForbidden) {
  const TestCertificate certificate{"tacit.test"};
  const TestCertificate stranger{"tacit.test"};
  const auto wrong_name =
      co_await handshake(certificate, {.ca_file = certificate.certificate_file()}, "evil.test");
  TACIT_CO_ASSERT(!wrong_name);
  EXPECT_EQ(wrong_name.error().code(), Code::forbidden);
  for (const auto& ca : {stranger.certificate_file(), std::string{}}) {
    const auto unknown = co_await handshake(certificate, {.ca_file = ca}, "tacit.test");
    TACIT_CO_ASSERT(!unknown);
    EXPECT_EQ(unknown.error().code(), Code::forbidden);
  }
}

Task<> write_bytes(Stream& stream, std::size_t bytes, bool& written) {
  const Bytes data(bytes, std::byte{'x'});
  written = (co_await stream.write(BytesView{data}, soon())).has_value();
}

Async<std::size_t> read_bytes(Stream& stream, std::size_t bytes) {
  std::size_t total = 0;
  Bytes buffer(50'000);
  while (total < bytes) {
    TACIT_CO_CHECK(co_await stream.wait_readable(soon()));
    TACIT_CO_TRY(const auto n, co_await stream.read_some(buffer, soon()));
    if (n == 0) break;
    total += n;
  }
  co_return total;
}

TACIT_ASYNC_TEST(Tls, BigTransfersBothWaysAtOnce) {
  const TestCertificate certificate{"tacit.test"};
  auto ends =
      co_await handshake(certificate, {.ca_file = certificate.certificate_file()}, "tacit.test");
  TACIT_CO_ASSERT(ends);
  constexpr std::size_t kBytes = 3U << 20U;
  TaskGroup group{io.get_executor()};
  bool forth = false;
  bool back = false;
  group.spawn(write_bytes(*ends->client, kBytes, forth));
  group.spawn(write_bytes(*ends->server, kBytes, back));
  EXPECT_EQ((co_await read_bytes(*ends->server, kBytes)).value_or(0), kBytes);
  EXPECT_EQ((co_await read_bytes(*ends->client, kBytes)).value_or(0), kBytes);
  EXPECT_TRUE(co_await group.join(soon()));
  EXPECT_TRUE(forth && back);
}

Task<> run_once(bool& ran) {
  co_await yield();
  ran = true;
}

// Many operations on `ends` of which none has to wait: does anybody else of the shard get a turn?
Task<> expect_fair(Ends& ends) {
  constexpr int kOperations = 200;
  constexpr std::size_t kPiece = 4;
  TaskGroup others{co_await asio::this_coro::executor};
  bool while_writing = false;
  others.spawn(run_once(while_writing));
  for (int i = 0; i < kOperations; ++i) {
    const auto sent = co_await ends.client->write(as_bytes("1234"), soon());
    EXPECT_TRUE(sent.has_value());
  }
  EXPECT_TRUE(while_writing);
  bool while_reading = false;
  others.spawn(run_once(while_reading));
  std::array<std::byte, kPiece> piece;
  for (int i = 0; i < kOperations; ++i) {
    const auto got = co_await ends.server->read_some(piece, soon());
    EXPECT_TRUE(got.has_value());
  }
  EXPECT_TRUE(while_reading);
  (void)co_await others.join(soon());
}

TACIT_ASYNC_TEST(Tls, AFastPeerLetsOthersRun) {
  const TestCertificate certificate{"tacit.test"};
  auto ends =
      co_await handshake(certificate, {.ca_file = certificate.certificate_file()}, "tacit.test");
  TACIT_CO_ASSERT(ends);
  co_await expect_fair(*ends);
  auto [client, server] = sockets(io.get_executor());
  Ends plain{std::move(client), std::move(server)};
  co_await expect_fair(plain);
}

TACIT_ASYNC_TEST(Tls, CutWithoutCloseNotifyIsAnError) {
  const TestCertificate certificate{"tacit.test"};
  auto ends =
      co_await handshake(certificate, {.ca_file = certificate.certificate_file()}, "tacit.test");
  TACIT_CO_ASSERT(ends);
  // Takes in the session ticket: closing over unread bytes would be a reset, which is Code::io.
  (void)co_await ends->client->wait_readable(Deadline::after(Milliseconds{10}));
  ends->client->close();
  const auto read = co_await read_text(*ends->server);
  TACIT_CO_ASSERT(!read);
  EXPECT_EQ(read.error().code(), Code::malformed);
}

// Session tickets make the client's socket readable after the handshake; the stream is not.
TACIT_ASYNC_TEST(Tls, WaitReadableMeansApplicationData) {
  const TestCertificate certificate{"tacit.test"};
  auto ends =
      co_await handshake(certificate, {.ca_file = certificate.certificate_file()}, "tacit.test");
  TACIT_CO_ASSERT(ends);
  const auto early = co_await ends->client->wait_readable(Deadline::after(Milliseconds{10}));
  TACIT_CO_ASSERT(!early);
  EXPECT_EQ(early.error().code(), Code::deadline_exceeded);
  EXPECT_TRUE((co_await ends->server->write(as_bytes("two bytes"), soon())).has_value());
  EXPECT_TRUE((co_await ends->client->wait_readable(soon())).has_value());
  std::array<std::byte, 3> some;
  EXPECT_EQ((co_await ends->client->read_some(some, soon())).value_or(0), 3U);
  // The rest is inside OpenSSL, no longer in the socket.
  EXPECT_TRUE((co_await ends->client->wait_readable(soon())).has_value());
  EXPECT_EQ((co_await read_text(*ends->client)).value_or("failed"), " bytes");
}

TACIT_ASYNC_TEST(Tls, PlainTextOrSilenceFailsTheHandshake) {
  const TestCertificate certificate{"tacit.test"};
  const auto tls =
      TlsServerContext::from_files(certificate.certificate_file(), certificate.key_file());
  TACIT_CO_ASSERT(tls);
  for (const bool speaks : {true, false}) {
    auto [client, server] = sockets(io.get_executor());
    if (speaks) {
      EXPECT_TRUE((co_await client->write(as_bytes("GET / HTTP/1.1\r\n\r\n"), soon())).has_value());
    }
    const auto accepted = co_await accept_tls(std::move(server), *tls,
                                              speaks ? soon() : Deadline::after(Milliseconds{10}));
    TACIT_CO_ASSERT(!accepted);
    EXPECT_EQ(accepted.error().code(), speaks ? Code::malformed : Code::deadline_exceeded);
  }
}

TEST(TlsContext, FilesThatCannotServe) {
  const TestCertificate one{"tacit.test"};
  const TestCertificate two{"tacit.test"};
  const auto mismatch = TlsServerContext::from_files(one.certificate_file(), two.key_file());
  ASSERT_FALSE(mismatch);
  EXPECT_EQ(mismatch.error().code(), Code::invalid_argument);
  const auto missing = TlsServerContext::from_files("/no/such.pem", one.key_file());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Code::io);
  EXPECT_EQ(missing.error().subject(), "/no/such.pem");
  const auto swapped = TlsServerContext::from_files(one.key_file(), one.certificate_file());
  ASSERT_FALSE(swapped);
  EXPECT_EQ(swapped.error().code(), Code::malformed);
  EXPECT_FALSE(TlsClientContext::create({.ca_file = one.key_file()}));
}

}  // namespace
}  // namespace tacit::async
