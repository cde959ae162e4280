// Private to gateway: an exchange inside an encapsulated one, sealed or Oblivious HTTP. The handler
// that serves it cannot tell it from plain HTTP, but for its carrier and its proven caller.
#pragma once

#include <string>

#include "async/task_group.hpp"
#include "async/wait.hpp"
#include "http/exchange.hpp"
#include "seal/bhttp.hpp"
#include "seal/encapsulated.hpp"

namespace tacit::gateway {

class SealedExchange final : public http::Exchange {
 public:
  SealedExchange(http::Exchange& outer, std::unique_ptr<seal::RequestOpener> opener,
                 std::size_t body_bytes_max, asio::any_io_executor executor);

  // Reads until something is proven and the head has come. Errors: refused() and overloaded, while
  // nothing is proven; then those of a malformed request, with can_answer().
  Async<void> open();
  // open() got so far that answers are sealed.
  bool can_answer() const noexcept { return answer_ != nullptr; }
  const seal::RequestOpener& opener() const noexcept { return *opener_; }
  // Ends what still runs for the answer. Must be awaited before the exchange goes.
  Task<> close();
  void set_caller(std::optional<std::string> id) { caller_ = std::move(id); }

  const http::RequestHead& request() const override { return request_; }
  http::Carrier carrier() const override { return http::Carrier::sealed; }
  std::string_view id() const override { return outer_.id(); }
  Deadline deadline() const override { return outer_.deadline(); }
  std::optional<std::string_view> proven_caller() const override { return caller_; }
  Async<std::size_t> read_some(std::span<std::byte> into) override;
  Async<void> respond(http::ResponseHead head, BytesView body) override;
  Async<void> start(http::ResponseHead head) override;
  Async<void> write(BytesView bytes) override;
  Async<void> finish() override;
  bool responded() const override { return state_ != State::waiting; }

 private:
  enum class State : std::uint8_t { waiting, started, finished };

  Async<void> read_outer();
  Result<void> open_frames();
  Result<void> take_request_head();
  Async<void> lead(http::ResponseHead head, std::optional<std::size_t> body_bytes);
  void append_content(BytesView bytes);
  Async<void> send(bool final);
  // What is sealed; the outer head before it when that has not left, and, with `final`, the end.
  Async<void> send_wire(bool final);
  // The paced answer: one frame each tick, whether there is something to say or not.
  Task<> keep_pace();
  bool paced() const noexcept { return shape_.pace_ms > 0 && !whole(); }
  bool whole() const noexcept { return shape_.pace_ms == seal::ReplyShape::kWhole; }

  http::Exchange& outer_;
  std::unique_ptr<seal::RequestOpener> opener_;
  seal::BhttpDecoder decoder_{seal::BhttpDecoder::Kind::request};
  std::size_t body_bytes_left_;
  http::RequestHead request_;
  std::optional<std::string> caller_;
  SecretText content_;  // decoded and not yet read
  std::size_t content_read_ = 0;

  seal::ReplyShape shape_;
  std::unique_ptr<seal::AnswerSealer> answer_;
  State state_ = State::waiting;
  bool body_allowed_ = true;
  std::optional<http::ResponseHead> outer_head_;  // not yet sent
  Bytes wire_;  // sealed and not yet sent; the ticker's while it runs
  async::TaskGroup ticker_;
  async::Signal ticked_;
  std::optional<Error> tick_error_;
  bool ticking_ = false;
  bool ending_ = false;  // the ticker stops once less than a frame waits
};

}  // namespace tacit::gateway
