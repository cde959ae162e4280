// What the protocols have in common that carry a whole HTTP exchange as two messages of binary HTTP
// (RFC 9292): sealed HTTP (sealed_server.hpp) and Oblivious HTTP, plain and chunked (ohttp.hpp).
// The server's side, sans I/O: whoever moves the bytes need not know which of them it is.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "core/bytes.hpp"
#include "seal/sealed.hpp"

namespace tacit::seal {

// AnswerSealer seals one answer. Not thread-safe.
class AnswerSealer {
 public:
  virtual ~AnswerSealer() = default;
  // What goes first.
  virtual BytesView head() const noexcept = 0;
  // Takes data and sends nothing yet.
  virtual void append(BytesView data) = 0;
  // Takes data and appends what is ready to go to `out`.
  virtual Result<void> write(BytesView data, Bytes& out) = 0;
  // Sends what waits, if the protocol streams; with `even_empty`, something in any case.
  virtual Result<void> flush(bool even_empty, Bytes& out) = 0;
  // Sends the rest and the end.
  virtual Result<void> finish(Bytes& out) = 0;
  // Bytes that were taken and not sent.
  virtual std::size_t pending() const noexcept = 0;
};

// RequestOpener opens one request. Not thread-safe.
class RequestOpener {
 public:
  virtual ~RequestOpener() = default;

  // Takes received bytes, and that there are no more.
  virtual void feed(BytesView in) = 0;
  virtual void end() noexcept = 0;
  // The next data of the message, perhaps empty; a view that dies with the next call. nullopt when
  // more input is needed, or at the end. Errors: refused() before authenticated(), overloaded when
  // no more requests can be remembered; then corrupt, malformed and too_large.
  virtual Result<std::optional<BytesView>> next() = 0;
  // Whether something has opened: from here on errors are the client's business, and are told
  // inside.
  virtual bool authenticated() const noexcept = 0;
  // Whether the end was opened: only then is the message whole.
  virtual bool finished() const noexcept = 0;

  // After authenticated(): how the answer is to leave, and what it is.
  virtual ReplyShape shape() const noexcept = 0;
  virtual std::string_view answer_media_type() const noexcept = 0;
  // What the server has to remember (ReplayCache) so that the request is served once; nullopt when
  // the opener has seen to that.
  virtual std::optional<ReplayNonce> replay_nonce() const noexcept = 0;
  // The answer's side; once. Error: malformed when the client's key is none.
  virtual Result<std::unique_ptr<AnswerSealer>> answer_sealer() = 0;
};

// The one answer to whoever has proved nothing, whatever is wrong.
inline Error refused() { return {Code::forbidden, "sealed request not accepted"}; }

}  // namespace tacit::seal
