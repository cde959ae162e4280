#include "http/server.hpp"

#include <unordered_set>

#include "async/task_group.hpp"
#include "async/wait.hpp"
#include "http/connection.hpp"

namespace tacit::http {

namespace {

constexpr Milliseconds kOutOfDescriptorsPause{50};
constexpr std::size_t kRefusingMax = 64;  // connections told "too many" at the same time

Carrier carrier_of(const ServerOptions& options, const async::Stream& stream) {
  if (options.tls) return Carrier::tls;
  if (!options.listen.unix_path.empty()) return Carrier::unix_socket;
  const auto peer = stream.peer().str();
  const bool loopback =
      peer.starts_with("127.") || peer.starts_with("[::1]") || peer.starts_with("[::ffff:127.");
  return loopback ? Carrier::plain_loopback : Carrier::plain_network;
}

}  // namespace

struct Server::State {
  State(async::Shard& shard, Handler& handler, Logger& log, std::shared_ptr<Shared> shared,
        ServerOptions given)
      : executor{shard.io.get_executor()},
        options{std::move(given)},
        context{handler, log, options.limits, std::move(shared)},
        connections{executor} {}

  Task<> serve(std::unique_ptr<async::Stream> stream);
  Task<> refuse(std::unique_ptr<async::Stream> stream);

  asio::any_io_executor executor;
  ServerOptions options;
  ServerContext context;
  std::unique_ptr<async::Listener> listener;
  async::TaskGroup connections;
  std::unordered_set<Connection*> live;
  std::size_t num_refusing = 0;
};

namespace {

// Counts a connection while it lives.
class Counted {
 public:
  explicit Counted(std::atomic<std::size_t>& count) : count_{count} { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<std::size_t>& count_;
};

// Keeps a connection on the list that drain goes through.
class Listed {
 public:
  Listed(std::unordered_set<Connection*>& live, Connection& connection)
      : live_{live}, connection_{connection} {
    live_.insert(&connection_);
  }
  ~Listed() { live_.erase(&connection_); }
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;

 private:
  std::unordered_set<Connection*>& live_;
  Connection& connection_;
};

}  // namespace

Task<> Server::State::serve(std::unique_ptr<async::Stream> stream) {
  const Counted counted{context.shared->connections};
  const auto carrier = carrier_of(options, *stream);
  if (options.tls) {
    auto secured = co_await async::accept_tls(
        std::move(stream), options.tls, Deadline::after(options.limits.tls_handshake_timeout));
    if (!secured) {
      context.log.debug("http.tls_handshake_failed", {{"code", secured.error().code()}});
      co_return;
    }
    stream = *std::move(secured);
  }
  Connection connection{std::move(stream), carrier, context};
  const Listed listed{live, connection};
  co_await connection.run();
}

Task<> Server::State::refuse(std::unique_ptr<async::Stream> stream) {
  ++num_refusing;
  Connection connection{std::move(stream), Carrier::plain_network, context};
  co_await connection.refuse(
      503, Error{Code::overloaded, "too many connections"}.with(
               "limit", static_cast<std::int64_t>(options.limits.connections_max)));
  --num_refusing;
}

Server::Server(async::Shard& shard, Handler& handler, Logger& log, std::shared_ptr<Shared> shared,
               ServerOptions options)
    : state_{std::make_unique<State>(shard, handler, log, std::move(shared), std::move(options))} {}

Server::~Server() = default;

Result<void> Server::listen(bool first) {
  TACIT_TRY(state_->listener,
            async::Listener::bind(state_->executor, state_->options.listen, first));
  return {};
}

std::uint16_t Server::port() const { return state_->listener ? state_->listener->port() : 0; }

Task<> Server::run() {
  auto& state = *state_;
  while (state.listener) {
    auto accepted = co_await state.listener->accept();
    if (!accepted) {
      if (accepted.error().code() == Code::cancelled) break;
      state.context.log.warning("http.accept_failed", {{"code", accepted.error().code()}});
      if (!co_await async::sleep_for(kOutOfDescriptorsPause)) break;
      continue;
    }
    auto stream = *std::move(accepted);
    if (state.context.shared->connections.load() < state.options.limits.connections_max) {
      state.connections.spawn(state.serve(std::move(stream)));
    } else if (!state.options.tls && state.num_refusing < kRefusingMax) {
      state.connections.spawn(state.refuse(std::move(stream)));
    }
  }
  if (state.context.draining) co_return;  // drain() waits for the connections
  if (state.listener) state.listener->close();
  state.connections.cancel();
  (void)co_await state.connections.join(Deadline::never());  // they have been cancelled
}

Task<std::size_t> Server::drain(Deadline deadline) {
  auto& state = *state_;
  state.context.draining = true;
  if (state.listener) state.listener->close();
  for (auto* connection : state.live) connection->wake_if_idle();
  std::size_t cut_off = 0;
  if (!co_await state.connections.wait_until_idle(deadline)) {
    for (const auto* connection : state.live) cut_off += connection->busy() ? 1 : 0;
    state.connections.cancel();
  }
  (void)co_await state.connections.join(
      Deadline::never());  // they are gone, or have been cancelled
  co_return cut_off;
}

}  // namespace tacit::http
