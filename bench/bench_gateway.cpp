// HTTP + API overhead without an engine: the gateway over loopback TCP, answered by a backend that
// costs nothing. Prints a table, and JSON with --json.
//
//   ./dev bench gateway
//
// Reported: round trip of a whole (not streamed) chat request, client included; CPU time of the
// server's thread per request and per streamed event, each event written on its own. The limits
// stand in docs/performance.md.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <ctime>
#include <future>
#include <string>
#include <vector>

#include "async/task_group.hpp"
#include "domain/testing/fake_backend.hpp"
#include "gateway/gateway.hpp"
#include "http/server.hpp"

namespace {

using namespace tacit;  // a program of one file
using SteadyClock = std::chrono::steady_clock;

constexpr int kRequests = 20'000;
constexpr int kStreams = 200;
constexpr int kEventsPerStream = 500;

// A blocking client on one connection: as little as possible, so that the server is what is
// measured.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_{::socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends and reads until `end` arrives at the end of what was received.
  void exchange(const std::string& request, std::string_view end) {
    if (::write(fd_, request.data(), request.size()) != static_cast<ssize_t>(request.size()))
      std::abort();
    tail_.clear();
    for (;;) {
      const auto n = ::read(fd_, buffer_.data(), buffer_.size());
      if (n <= 0) std::abort();
      tail_.append(buffer_.data(), static_cast<std::size_t>(n));
      if (tail_.ends_with(end)) return;
      if (tail_.size() > 64) tail_.erase(0, tail_.size() - 64);
    }
  }

 private:
  int fd_;
  std::vector<char> buffer_ = std::vector<char>(1 << 16);
  std::string tail_;
};

std::string chat_request(bool stream, std::size_t prompt_bytes) {
  const std::string body = R"({"model":"fake","stream":)" + std::string{stream ? "true" : "false"} +
                           (stream ? "" : R"(,"max_tokens":1)") +
                           R"(,"messages":[{"role":"user","content":")" +
                           std::string(prompt_bytes, 'x') + R"("}]})";
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
         "application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

// CPU time of the server's only thread, asked on that thread.
double cpu_seconds(async::Shard& shard) {
  std::promise<double> answer;
  asio::post(shard.io, [&] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    answer.set_value(static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9);
  });
  return answer.get_future().get();
}

struct Figures {
  double p50_us = 0;
  double p99_us = 0;
  double cpu_us_per_request = 0;
  double cpu_us_per_event = 0;
};

Figures measure(async::Shard& shard, std::uint16_t port, std::size_t prompt_bytes) {
  Client client{port};
  const auto whole = chat_request(false, prompt_bytes);
  for (int i = 0; i < 1000; ++i) client.exchange(whole, "}}}");  // warm
  std::vector<double> times;
  times.reserve(kRequests);
  auto cpu = cpu_seconds(shard);
  for (int i = 0; i < kRequests; ++i) {
    const auto begun = SteadyClock::now();
    client.exchange(whole, "}}}");  // the usage object closes the body
    times.push_back(std::chrono::duration<double, std::micro>(SteadyClock::now() - begun).count());
  }
  Figures figures;
  figures.cpu_us_per_request = (cpu_seconds(shard) - cpu) * 1e6 / kRequests;
  std::sort(times.begin(), times.end());
  figures.p50_us = times[times.size() / 2];
  figures.p99_us = times[times.size() * 99 / 100];

  const auto streamed = chat_request(true, prompt_bytes);
  cpu = cpu_seconds(shard);
  for (int i = 0; i < kStreams; ++i) client.exchange(streamed, "0\r\n\r\n");
  const double stream_us = (cpu_seconds(shard) - cpu) * 1e6 / kStreams;
  figures.cpu_us_per_event = (stream_us - figures.cpu_us_per_request) / kEventsPerStream;
  return figures;
}

void answer(const domain::GenerateRequest&, domain::EventBatch& out) {
  out.emplace_back(domain::Started{10});
  for (int i = 0; i < kEventsPerStream; ++i)
    out.emplace_back(domain::TextDelta{domain::Content{" word"}});
  out.emplace_back(domain::Finished{domain::FinishReason::stop, {10, 0, kEventsPerStream}});
}

void short_answer(const domain::GenerateRequest&, domain::EventBatch& out) {
  out.emplace_back(domain::Started{10});
  out.emplace_back(domain::TextDelta{domain::Content{" word"}});
  out.emplace_back(domain::Finished{domain::FinishReason::stop, {10, 0, 1}});
}

Task<> stop(http::Server& server, std::promise<void>& drained) {
  co_await server.drain(Deadline::after(Seconds{1}));
  drained.set_value();
}

}  // namespace

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::string_view{argv[1]} == "--json";
  async::Runtime runtime{1};
  domain::testing::FakeProvider models;
  models.one_event_at_a_time = true;
  models.script = [](const domain::GenerateRequest& request, domain::EventBatch& out) {
    // Whole requests set max_tokens and get one token; streams get many.
    (request.max_tokens ? short_answer : answer)(request, out);
  };
  const SystemClock clock;
  NullLogger log;
  gateway::Metrics metrics{1};
  auto shared = std::make_shared<http::Server::Shared>();
  gateway::Gateway gateway{{.models = models,
                            .keys = nullptr,
                            .metrics = metrics,
                            .shard_index = 0,
                            .clock = clock,
                            .log = log,
                            .gauges = [] { return std::vector<gateway::ModelGauges>{}; },
                            .open_connections = [] { return std::size_t{0}; }},
                           {.require_key = false, .version = "bench"}};
  http::Server server{runtime.shard(0),
                      gateway,
                      log,
                      shared,
                      {.listen = {"127.0.0.1", 0, {}}, .tls = {}, .limits = {}}};
  if (!server.listen(true)) return 1;
  async::TaskGroup tasks{runtime.shard(0).io.get_executor()};
  asio::post(runtime.shard(0).io, [&] { tasks.spawn(server.run()); });
  runtime.start();

  if (!json)
    std::printf("%-14s %10s %10s %16s %16s\n", "prompt bytes", "p50 us", "p99 us", "cpu us/request",
                "cpu us/event");
  std::string rows;
  for (const auto bytes : {std::size_t{128}, std::size_t{10'000}, std::size_t{1'000'000}}) {
    const auto f = measure(runtime.shard(0), server.port(), bytes);
    if (!json)
      std::printf("%-14zu %10.1f %10.1f %16.1f %16.2f\n", bytes, f.p50_us, f.p99_us,
                  f.cpu_us_per_request, f.cpu_us_per_event);
    rows += (rows.empty() ? "" : ",") + ("{\"prompt_bytes\":" + std::to_string(bytes)) +
            ",\"p50_us\":" + std::to_string(f.p50_us) + ",\"p99_us\":" + std::to_string(f.p99_us) +
            ",\"cpu_us_per_request\":" + std::to_string(f.cpu_us_per_request) +
            ",\"cpu_us_per_event\":" + std::to_string(f.cpu_us_per_event) + "}";
  }
  if (json) std::printf("{\"bench\":\"gateway\",\"rows\":[%s]}\n", rows.c_str());

  std::promise<void> drained;
  asio::post(runtime.shard(0).io, [&] { tasks.spawn(stop(server, drained)); });
  drained.get_future().wait();
  runtime.stop();
  runtime.join();
  return 0;
}
