// Private to http: one server connection, from its first byte to its last.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "async/stream.hpp"
#include "async/task_group.hpp"
#include "core/log.hpp"
#include "http/body.hpp"
#include "http/exchange.hpp"
#include "http/http1.hpp"
#include "http/input_buffer.hpp"
#include "http/server.hpp"

namespace tacit::http {

class Connection;

// ServerContext is what the connections of one shard share. Belongs to the shard.
class ServerContext {
 public:
  ServerContext(Handler& on, Logger& to, const ServerLimits& within,
                std::shared_ptr<Server::Shared> counted)
      : handler{on}, log{to}, limits{within}, shared{std::move(counted)} {}

  // "Sun, 06 Nov 1994 08:49:37 GMT", made once a second.
  std::string_view date();
  // 20 random hex digits.
  std::string new_id();

  Handler& handler;
  Logger& log;
  const ServerLimits limits;
  const std::shared_ptr<Server::Shared> shared;
  bool draining = false;

 private:
  std::int64_t date_second_ = 0;
  std::string date_;
  std::array<std::byte, 320> random_{};
  std::size_t random_left_ = 0;
};

// Connection serves the exchanges of one stream, one after the other.
class Connection {
 public:
  Connection(std::unique_ptr<async::Stream> stream, Carrier carrier, ServerContext& context);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Serves until the connection ends. Cancelling it cancels the running handler.
  Task<> run();
  // Refuses the connection as such: one error response, whatever the request is, then the end.
  Task<> refuse(int status, Error error);
  // Ends the connection soon if it is between two requests; for drain.
  void wake_if_idle() noexcept;
  // Whether a handler is at work.
  bool busy() const noexcept { return busy_; }

 private:
  friend class ServerExchange;
  enum class Next : std::uint8_t { keep, close, close_gently };

  // Waits for the first byte of a request; false: the connection is to be closed.
  Task<bool> wait_for_request();
  Task<std::optional<ParsedRequest>> read_request();
  Task<Next> serve(ParsedRequest request);
  Task<> finish_exchange(class ServerExchange& exchange, bool in_time);
  // Reads what is left of a request body, within bounds; false when it is too much.
  Task<bool> drain_body(BodyDecoder& body);
  Task<> send_error(int status, const Error& error);
  // Lets the peer read our last words before the end: closing over unread bytes would reset them.
  Task<> linger();

  std::unique_ptr<async::Stream> stream_;
  const Carrier carrier_;
  const std::string peer_;
  ServerContext& context_;
  InputBuffer input_;
  bool idle_ = false;
  bool busy_ = false;
  bool gentle_close_ = false;
};

}  // namespace tacit::http
