// Private to http: one client connection, and one response on it.
#pragma once

#include <memory>
#include <string>

#include "async/stream.hpp"
#include "http/body.hpp"
#include "http/client.hpp"
#include "http/http1.hpp"
#include "http/input_buffer.hpp"

namespace tacit::http {

// ClientConnection is a stream and what has been read from it.
class ClientConnection {
 public:
  explicit ClientConnection(std::unique_ptr<async::Stream> stream) : stream_{std::move(stream)} {}

  // Whether it can carry another request: open, and the server has said nothing unasked.
  Task<bool> is_fresh();
  // Sends a request and reads the head of the final response (1xx are skipped). Errors: unavailable
  // when the server closed without a word, see heard(); malformed, too_large; as Stream.
  Async<ParsedResponse> exchange(std::string_view head, BytesView body, std::string_view method,
                                 HeadLimits limits, Deadline deadline);
  // The same in steps: any number of sends, then the answer. A server may refuse a body, answer and
  // close before it has all: then the answer counts. receive() takes how sending went.
  Async<void> send(std::span<const BytesView> parts, Deadline deadline);
  Async<ParsedResponse> receive(Result<void> sent, std::string_view method, HeadLimits limits,
                                Deadline deadline);
  // Whether anything of a response has come since the last request.
  bool heard() const noexcept { return heard_; }
  // Part of a body; 0 at its end.
  Async<std::size_t> read_body(BodyDecoder& body, std::span<std::byte> into, Deadline deadline);
  bool has_unused_input() const noexcept { return !input_.empty(); }
  std::unique_ptr<async::Stream> take_stream() && { return std::move(stream_); }

 private:
  Async<ParsedResponse> read_head(std::string_view method, HeadLimits limits, Deadline deadline);

  std::unique_ptr<async::Stream> stream_;
  InputBuffer input_;
  bool heard_ = false;
};

}  // namespace tacit::http
