// Many clients at once, on several shards: some read, some stall, some leave. What each one reads
// is its own, and nothing is left behind.
#include <random>

#include <boost/asio/post.hpp>

#include "http/client.hpp"
#include "http/http_testing.hpp"
#include "http/server.hpp"

namespace tacit::http {
namespace {

constexpr int kParts = 40;

std::string part_for(std::string_view who, int i) {
  return std::string{who} + ':' + std::to_string(i) + std::string(500, who.back()) + '\n';
}

// Streams parts that carry the request's query, slowly enough for clients to leave in between.
class NamedHandler final : public Handler {
 public:
  Task<> serve(Exchange& exchange) override {
    ++running;
    co_await stream(exchange);
    --running;
    ++ended;
  }
  std::atomic<int> running{0};
  std::atomic<int> ended{0};

 private:
  static Task<> stream(Exchange& exchange) {
    const std::string who{exchange.request().query()};
    if (!co_await exchange.start({})) co_return;
    for (int i = 0; i < kParts; ++i) {
      const auto part = part_for(who, i);
      if (!co_await exchange.write(as_bytes(part))) co_return;
      if (i % 8 == 0 && !co_await async::sleep_for(Milliseconds{1})) co_return;
    }
    (void)co_await exchange.finish();
  }
};

struct Tally {
  int complete = 0;
  int left = 0;
  int wrong = 0;
};

// One client: several requests, each read to the end, left in the middle, or stalled and then left.
Task<> visit(Client& client, std::string base, int number, Tally& tally) {
  std::minstd_rand random{static_cast<unsigned>(number + 1)};
  for (int round = 0; round < 5; ++round) {
    const auto who = "c" + std::to_string(number) + "r" + std::to_string(round);
    auto response = co_await client.send("GET", base + "/?" + who, {}, {}, soon());
    if (!response) {
      ++tally.wrong;
      continue;
    }
    std::string expected;
    for (int i = 0; i < kParts; ++i) expected += part_for(who, i);
    const auto leave_at = random() % 3 == 0 ? random() % expected.size() : expected.size() + 1;
    std::string got;
    std::array<std::byte, 1000> buffer;
    while (got.size() < leave_at) {
      const auto n = co_await (*response)->read_some(buffer, soon());
      if (!n || *n == 0) break;
      got += as_text(BytesView{buffer}.first(*n));
    }
    if (!expected.starts_with(got)) ++tally.wrong;
    if (got.size() == expected.size()) {
      ++tally.complete;
    } else {
      if (random() % 2 == 0) (void)co_await async::sleep_for(Milliseconds{5});
      ++tally.left;
    }
  }
}

Task<> visit_all(std::string base, int first, int count, Tally& tally) {
  const auto executor = co_await asio::this_coro::executor;
  std::vector<std::unique_ptr<Client>> clients;
  async::TaskGroup group{executor};
  for (int i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<Client>());
    group.spawn(visit(*clients.back(), base, first + i, tally));
  }
  EXPECT_TRUE(co_await group.join(soon()));
}

Task<> drain_then(Server& server, std::atomic<int>& left, async::Runtime& runtime) {
  (void)co_await server.drain(soon());
  if (--left == 0) runtime.stop();
}

// A shard's server, made and used on its thread only.
struct PerShard {
  PerShard(async::Shard& shard, NamedHandler& handler, Logger& log,
           std::shared_ptr<Server::Shared> shared, std::uint16_t port)
      : server{shard, handler, log, std::move(shared),
               ServerOptions{
                   .listen = {.host = "127.0.0.1", .port = port}, .tls = nullptr, .limits = {}}},
        group{shard.io.get_executor()} {}
  Server server;
  async::TaskGroup group;
};

TEST(ServerStress, ShardsShareAPortAndNothingElse) {
  constexpr int kShards = 2;
  constexpr int kClients = 60;
  async::Runtime runtime{kShards};
  NamedHandler handler;
  NullLogger log;
  auto shared = std::make_shared<Server::Shared>();
  std::vector<std::unique_ptr<PerShard>> shards;
  std::uint16_t port = 0;
  for (std::size_t i = 0; i < kShards; ++i) {
    shards.push_back(std::make_unique<PerShard>(runtime.shard(i), handler, log, shared, port));
    ASSERT_TRUE(shards.back()->server.listen(i == 0));
    port = shards.back()->server.port();
    shards.back()->group.spawn(shards.back()->server.run());
  }
  runtime.start();

  asio::io_context io{1};
  Tally tally;
  async::run_task(io, visit_all("http://127.0.0.1:" + std::to_string(port), 0, kClients, tally));
  EXPECT_EQ(tally.wrong, 0);
  EXPECT_EQ(tally.complete + tally.left, kClients * 5);
  EXPECT_GT(tally.complete, 0);
  EXPECT_GT(tally.left, 0);

  std::atomic<int> left{kShards};
  for (std::size_t i = 0; i < kShards; ++i) {
    asio::post(runtime.shard(i).io,
               [&, i] { shards[i]->group.spawn(drain_then(shards[i]->server, left, runtime)); });
  }
  runtime.join();
  EXPECT_EQ(handler.running, 0);
  EXPECT_EQ(handler.ended, kClients * 5);
  EXPECT_EQ(shared->connections, 0U);
  EXPECT_EQ(shared->requests_total, static_cast<std::uint64_t>(kClients * 5));
}

}  // namespace
}  // namespace tacit::http
