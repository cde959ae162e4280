// Exchange: one request and its response, whatever carries them: plain HTTP, TLS or a sealed
// channel. A Handler serves exchanges and cannot tell which.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "async/async.hpp"
#include "core/bytes.hpp"
#include "core/secret.hpp"
#include "http/message.hpp"

namespace tacit::http {

// How the request came here; decides what a handler may allow.
enum class Carrier : std::uint8_t { plain_loopback, plain_network, unix_socket, tls, sealed };

// Exchange belongs to one shard and lives while its handler runs. The response is either one
// respond(), or start(), any number of write(), and finish(). When the client goes away, or the
// total-time limit passes, the handler's coroutine is cancelled: its pending wait ends with
// Code::cancelled, and everything awaited later does at once; just return.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const RequestHead& request() const = 0;
  virtual Carrier carrier() const = 0;
  // Who the client is, when the carrier itself has proved it (sealed): the id of an API key, empty
  // for a client that needs none. nullopt: the request must say.
  virtual std::optional<std::string_view> proven_caller() const { return std::nullopt; }
  // Where the client's connection comes from: "192.0.2.1:50", "[2001:db8::1]:50", "unix"; empty
  // when the carrier does not say. For limits, never for logs.
  virtual std::string_view peer() const { return {}; }
  // A short random id, also sent as x-request-id. A caller's own well-formed x-request-id is kept.
  virtual std::string_view id() const = 0;
  // Ends when the exchange must end (total-time limit). Pass it to whatever waits.
  virtual Deadline deadline() const = 0;

  // Reads part of the request's body; 0 at its end. The first call answers Expect: 100-continue.
  // Errors: too_large (limit named), malformed (bad chunk, cut short), deadline_exceeded,
  // cancelled.
  virtual Async<std::size_t> read_some(std::span<std::byte> into) = 0;

  // Sends a whole response. Errors: cancelled, io.
  virtual Async<void> respond(ResponseHead head, BytesView body) = 0;
  // Starts a streamed response of unknown length; the head is on its way when this returns.
  virtual Async<void> start(ResponseHead head) = 0;
  // Sends bytes at once; returns when the transport has taken them, so that a slow reader slows the
  // writer (back-pressure). Errors: cancelled, deadline_exceeded (a reader stalled too long), io.
  virtual Async<void> write(BytesView bytes) = 0;
  // Ends the body. A handler that returns after start() without finish() ends the connection in a
  // way that the client sees as an error (truncation).
  virtual Async<void> finish() = 0;
  // start(), write() and, with `last`, finish() at once: the same bytes in one packet where they
  // fit, so that whoever reads is woken once. Errors: as those.
  virtual Async<void> start_with(ResponseHead head, BytesView first, bool last);
  // Whether respond() or start() was called.
  virtual bool responded() const = 0;
};

// Handler serves exchanges on one shard (the server makes or is given one per shard).
class Handler {
 public:
  virtual ~Handler() = default;
  // An exchange without a response at the end gets a 500.
  virtual Task<> serve(Exchange& exchange) = 0;
};

// read_body reads the whole body into memory that is wiped. Errors as read_some, and too_large over
// `body_bytes_max`.
Async<SecretText> read_body(Exchange& exchange, std::size_t body_bytes_max);

}  // namespace tacit::http
