// Private to http: an exchange over HTTP/1.1.
#pragma once

#include "http/connection.hpp"

namespace tacit::http {

// ServerExchange is one request on a Connection. It lives in Connection::serve, outlives the
// handler, and notices when the client goes away: while the handler runs and the request's body has
// been read, a watcher reads ahead (pipelined requests, up to a bound) and cancels the handler at
// the end of the stream. A client that closes only its sending side counts as gone.
class ServerExchange final : public Exchange {
 public:
  ServerExchange(Connection& connection, ParsedRequest request, std::string id, Deadline deadline,
                 asio::any_io_executor executor);

  const RequestHead& request() const override { return request_.head; }
  Carrier carrier() const override { return connection_.carrier_; }
  std::string_view peer() const override { return connection_.peer_; }
  std::string_view id() const override { return id_; }
  Deadline deadline() const override { return deadline_; }
  Async<std::size_t> read_some(std::span<std::byte> into) override;
  Async<void> respond(ResponseHead head, BytesView body) override;
  Async<void> start(ResponseHead head) override;
  Async<void> write(BytesView bytes) override;
  Async<void> finish() override;
  Async<void> start_with(ResponseHead head, BytesView first, bool last) override;
  bool responded() const override { return state_ != State::waiting; }

  // Runs the handler to its end. False: it was cut off by the deadline or the connection's end.
  Task<bool> run();

  bool finished() const noexcept { return state_ == State::finished; }
  // The client went away, or a write failed: nothing more can be sent.
  bool broken() const noexcept { return broken_; }
  bool keep_alive() const noexcept { return keep_alive_; }
  // The client may still be waiting for a 100 that was never sent.
  bool continue_unsent() const noexcept { return request_.expects_continue; }
  BodyDecoder& body() noexcept { return body_; }

 private:
  enum class State : std::uint8_t { waiting, started, finished };

  Result<std::string> make_head(ResponseHead head, std::optional<std::size_t> body_bytes);
  Async<void> send(std::span<const BytesView> parts);
  Async<std::size_t> read_part(std::span<std::byte> into);
  // The handler's coroutine ends up cancelled: its client cannot be reached any more.
  void give_up() noexcept;
  void start_watching();
  Task<> stop_watching();
  Task<> watch();

  Connection& connection_;
  ParsedRequest request_;
  std::string id_;
  Deadline deadline_;
  BodyDecoder body_;
  asio::any_io_executor executor_;
  async::TaskGroup handler_;
  std::optional<async::TaskGroup> watcher_;
  State state_ = State::waiting;
  bool body_allowed_ = true;  // not for HEAD, 204 and 304
  bool chunked_ = false;
  bool keep_alive_ = true;
  bool broken_ = false;
};

}  // namespace tacit::http
