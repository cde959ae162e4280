// HTTP over loopback: latency of a request, CPU of a streamed event, memory of an idle connection.
//
// The peer in the same run is a bare blocking echo between two threads: what the kernel and two
// context switches cost without any HTTP. The client is raw blocking sockets, in threads of this
// process, or in a child process where memory is measured.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <malloc.h>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/post.hpp>

#include "async/channel.hpp"
#include "async/task_group.hpp"
#include "async/tls_testing.hpp"
#include "async/wait.hpp"
#include "bench_table.hpp"
#include "core/unique_fd.hpp"
#include "http/server.hpp"

namespace {

using namespace tacit;

constexpr int kRequests = 20'000;
constexpr int kEvents = 50'000;
constexpr int kConnections = 5'000;
constexpr int kTlsConnections = 1'000;
const std::string kEvent =
    "data: "
    "{\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
    "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" "
    "token\"},\"finish_reason\":null}]}\n\n";

void require(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::exit(1);
}

double thread_cpu_us() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// --- the server
// ------------------------------------------------------------------------------------

class BenchHandler final : public http::Handler {
 public:
  Task<> serve(http::Exchange& exchange) override {
    const auto path = exchange.request().path();
    if (path == "/stream") co_return co_await stream(exchange);
    if (path == "/produced") co_return co_await produced(exchange);
    const auto body = co_await http::read_body(exchange, 1'000'000);
    if (!body) co_return;
    http::ResponseHead head;
    head.headers.add("content-type", "application/json");
    (void)co_await exchange.respond(std::move(head), as_bytes("{\"ok\":true}"));
  }
  std::atomic<double> event_cpu_us{0};

 private:
  // Events that are there already: the cost of writing alone.
  Task<> stream(http::Exchange& exchange) {
    (void)co_await exchange.start({});
    const auto before = thread_cpu_us();
    for (int i = 0; i < kEvents; ++i) {
      if (!co_await exchange.write(as_bytes(kEvent))) co_return;
    }
    event_cpu_us = (thread_cpu_us() - before) / kEvents;
    (void)co_await exchange.finish();
  }
  static Task<> produce(async::Channel<int>& channel) {
    for (int i = 0; i < kEvents; ++i) {
      while (!channel.try_push(int{i})) co_await async::yield();
      co_await async::yield();  // the next token is another turn of the event loop
    }
    channel.close();
  }
  // Each event wakes the handler through a channel, as an engine's does.
  Task<> produced(http::Exchange& exchange) {
    (void)co_await exchange.start({});
    const auto executor = co_await asio::this_coro::executor;
    const auto before = thread_cpu_us();
    async::Channel<int> channel{executor, 64};
    async::TaskGroup group{executor};
    group.spawn(produce(channel));
    while (co_await channel.pop(exchange.deadline())) {
      if (!co_await exchange.write(as_bytes(kEvent))) break;
    }
    (void)co_await group.join(Deadline::never());
    event_cpu_us = (thread_cpu_us() - before) / kEvents;
    (void)co_await exchange.finish();
  }
};

// --- the client
// ------------------------------------------------------------------------------------

UniqueFd dial(std::uint16_t port) {
  UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  require(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0,
          "connect");
  const int on = 1;
  (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

void send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    require(n > 0, "send");
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::size_t read_until(int fd, std::string_view end) {
  std::string tail;
  std::vector<char> buffer(64 * 1024);
  std::size_t total = 0;
  while (!tail.ends_with(end)) {
    const auto n = ::recv(fd, buffer.data(), buffer.size(), 0);
    require(n > 0, "recv");
    total += static_cast<std::size_t>(n);
    tail.append(buffer.data(), static_cast<std::size_t>(n));
    if (tail.size() > end.size()) tail.erase(0, tail.size() - end.size());
  }
  return total;
}

std::string request(const std::string& path) {
  const std::string body =
      R"({"model":"m","messages":[{"role":"user","content":"Name three colours."}]})";
  return "POST " + path +
         " HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: "
         "Bearer "
         "0123456789\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

template <class Step> std::vector<double> time_each(int rounds, Step step) {
  std::vector<double> out;
  out.reserve(static_cast<std::size_t>(rounds));
  for (int i = 0; i < rounds; ++i) {
    const auto before = std::chrono::steady_clock::now();
    step();
    out.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - before)
            .count());
  }
  out.erase(out.begin(), out.begin() + rounds / 10);  // warm-up
  return out;
}

std::vector<double> echo_latency() {
  int ends[2] = {-1, -1};
  require(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
  const UniqueFd a{ends[0]};
  const UniqueFd b{ends[1]};
  std::thread echo{[fd = b.get()] {
    std::vector<char> buffer(4096);
    for (ssize_t n = 0; (n = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
      send_all(fd, {buffer.data(), static_cast<std::size_t>(n)});
    }
  }};
  std::vector<char> buffer(4096);
  auto times = time_each(kRequests, [&] {
    send_all(a.get(), "ping");
    require(::recv(a.get(), buffer.data(), buffer.size(), 0) == 4, "recv");
  });
  ::shutdown(a.get(), SHUT_RDWR);
  echo.join();
  return times;
}

// --- memory
// ----------------------------------------------------------------------------------------

struct Told {
  std::uint16_t port = 0;
  int count = 0;
  bool tls = false;
};

std::size_t resident_kb() {
  std::ifstream statm{"/proc/self/statm"};
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) / 1024;
}

Task<> open_connections(std::uint16_t port, int count, std::shared_ptr<async::TlsClientContext> tls,
                        std::vector<std::unique_ptr<async::Stream>>& out) {
  const async::Endpoint endpoint{.host = "127.0.0.1", .port = port, .unix_path = {}};
  const auto text = request("/");
  for (int i = 0; i < count; ++i) {
    auto stream = co_await async::connect(endpoint, tls, Deadline::after(Seconds{10}));
    require(stream.has_value(), "connect");
    (void)co_await (*stream)->write(as_bytes(text), Deadline::after(Seconds{10}));
    std::array<std::byte, 4096> buffer;
    const auto n = co_await (*stream)->read_some(buffer, Deadline::after(Seconds{10}));
    require(n && *n > 0, "response");
    out.push_back(*std::move(stream));
  }
}

// The child process: for each port told, opens connections, each with one answered request, says
// so, and waits for the next.
[[noreturn]] void hold_connections(int control, const std::string& ca_file) {
  asio::io_context io{1};
  std::vector<std::unique_ptr<async::Stream>> connections;
  for (;;) {
    Told told;
    if (::recv(control, &told, sizeof told, MSG_WAITALL) != sizeof told) ::_exit(0);
    std::shared_ptr<async::TlsClientContext> tls;
    if (told.tls) {
      tls = async::TlsClientContext::create({.ca_file = ca_file, .allow_tls12 = false}).value();
    }
    async::TaskGroup group{io.get_executor()};
    group.spawn(open_connections(told.port, told.count, tls, connections));
    io.restart();
    io.run();
    const char byte = 1;
    (void)!::send(control, &byte, 1, 0);
  }
}

// What each idle connection adds to this process, in KiB.
double idle_connection_kb(int control, Told told) {
  ::malloc_trim(0);
  const auto before_kb = resident_kb();
  require(::send(control, &told, sizeof told, 0) == sizeof told, "control");
  char byte = 0;
  require(::recv(control, &byte, 1, 0) == 1, "control");
  const auto grown_kb = static_cast<double>(resident_kb() - before_kb);
  return grown_kb / told.count;
}

void raise_descriptor_limit() {
  rlimit limit{};
  (void)::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

Task<> drain(http::Server& server, http::Server& tls_server, async::Runtime& runtime) {
  (void)co_await server.drain(Deadline::after(Seconds{5}));
  (void)co_await tls_server.drain(Deadline::after(Seconds{5}));
  runtime.stop();
}

}  // namespace

int main() {
  raise_descriptor_limit();
  const async::TestCertificate certificate{"127.0.0.1"};
  int control[2] = {-1, -1};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) == 0, "socketpair");
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(control[0]);
    hold_connections(control[1], certificate.certificate_file());
  }

  async::Runtime runtime{1};
  BenchHandler handler;
  NullLogger log;
  http::Server server{
      runtime.shard(0), handler, log, std::make_shared<http::Server::Shared>(),
      http::ServerOptions{.listen = {.host = "127.0.0.1"}, .tls = nullptr, .limits = {}}};
  const auto tls =
      async::TlsServerContext::from_files(certificate.certificate_file(), certificate.key_file());
  require(tls.has_value(), "certificate");
  http::Server tls_server{
      runtime.shard(0), handler, log, std::make_shared<http::Server::Shared>(),
      http::ServerOptions{.listen = {.host = "127.0.0.1"}, .tls = *tls, .limits = {}}};
  require(server.listen(true).has_value() && tls_server.listen(true).has_value(), "listen");
  const auto port = server.port();
  async::TaskGroup group{runtime.shard(0).io.get_executor()};
  group.spawn(server.run());
  group.spawn(tls_server.run());
  runtime.start();

  std::vector<bench::Row> rows;
  auto echo = echo_latency();
  rows.push_back({"echo.p50", bench::percentile(echo, 0.5), "us"});
  {
    const auto fd = dial(port);
    const auto text = request("/");
    auto times = time_each(kRequests, [&] {
      send_all(fd.get(), text);
      read_until(fd.get(), "{\"ok\":true}");
    });
    rows.push_back({"request.p50", bench::percentile(times, 0.5), "us", 150});
    rows.push_back({"request.p99", bench::percentile(times, 0.99), "us"});
  }
  for (const std::string path : {"/stream", "/produced"}) {
    const auto fd = dial(port);
    send_all(fd.get(), request(path));
    read_until(fd.get(), "\r\n0\r\n\r\n");
    rows.push_back({"event" + path + ".cpu", handler.event_cpu_us.load(), "us", 10});
  }
  const auto plain_kb =
      idle_connection_kb(control[0], {.port = port, .count = kConnections, .tls = false});
  rows.push_back({"idle_connection.rss", plain_kb, "KiB", 20});
  rows.push_back({"idle_connections_5000.rss", plain_kb * 5000 / 1024, "MiB", 100});
  const auto tls_kb = idle_connection_kb(
      control[0], {.port = tls_server.port(), .count = kTlsConnections, .tls = true});
  rows.push_back({"idle_tls_connection.rss", tls_kb, "KiB"});
  ::shutdown(control[0], SHUT_RDWR);
  int status = 0;
  ::waitpid(child, &status, 0);

  asio::post(runtime.shard(0).io, [&] { group.spawn(drain(server, tls_server, runtime)); });
  runtime.join();
  bench::print("http", rows);
  return 0;
}
