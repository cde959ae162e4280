// The protocol between `tacit serve` and its workers: sans-I/O, versioned, length-prefixed.
//
//   frame  = length:u32 type:u8 body          length counts type and body; integers little-endian
//
// A worker has one control socket (worker to front only: hello, ready or load_failed, then stats)
// and one data socket per shard of the front (requests down, events up). A request id is chosen by
// the front and unique among the running requests of its socket.
//
// Flow control: `generate` grants a number of deltas, `credit` grants more. A worker that sends a
// delta without credit breaks the protocol. Started, Finished and Failed need no credit.
//
// Each side treats the other as hostile: every field has a limit, text must be UTF-8, and an answer
// to anything malformed is to close the socket. Buffers that held content are wiped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/secret.hpp"
#include "domain/event.hpp"
#include "domain/request.hpp"
#include "engine/sandbox_report.hpp"

namespace tacit::engine {

inline constexpr std::uint16_t kProtocolVersion = 3;

struct ProtocolLimits {
  static constexpr std::size_t request_frame_bytes_max = 34 * 1024 * 1024;  // front to worker
  static constexpr std::size_t event_frame_bytes_max = 64 * 1024;           // worker to front
  static constexpr std::size_t delta_bytes_max = 16 * 1024;
  static constexpr std::size_t delta_values_max = 4096;  // tokens or floats
  static constexpr std::size_t delta_logprobs_max = 8;   // tokens with log-probabilities
  static constexpr std::size_t logprobs_max = 20;        // alternatives of each
  static constexpr std::size_t token_bytes_max = 128;    // of a token's text in those
  static constexpr std::size_t messages_max = 16'384;
  static constexpr std::size_t tool_calls_max = 16'384;  // all messages together
  static constexpr std::size_t tools_max = 512;
  static constexpr std::size_t tokens_max = 1024 * 1024;  // of a tokenized prompt
  static constexpr std::size_t biases_max = 4096;
  static constexpr std::size_t constraint_bytes_max = 256 * 1024;
  static constexpr std::size_t content_bytes_max = 32 * 1024 * 1024;  // all texts together
  static constexpr std::size_t stops_max = 64;
  static constexpr std::size_t stop_bytes_max = 4096;
  static constexpr std::size_t name_bytes_max = 512;
  static constexpr std::uint32_t tenant_weight_max = 1000;
  static constexpr std::uint32_t credit_max = 65'536;  // outstanding at once
};

using RequestId = std::uint64_t;

// Front to worker.
struct Generate {
  RequestId id = 0;
  std::uint32_t credit = 0;  // deltas granted at the start; at least 1
  domain::GenerateRequest request;
  std::uint32_t time_ms = 0;  // until its end at most; 0: no limit
};
struct Cancel {
  RequestId id = 0;
};
struct Credit {
  RequestId id = 0;
  std::uint32_t deltas = 0;  // at least 1
};
using Command = std::variant<Generate, Cancel, Credit>;

// Worker to front, on the control socket.
struct Hello {
  std::uint16_t version = kProtocolVersion;
  SandboxReport sandbox;
};
struct Ready {
  std::uint32_t context_tokens_max = 0;  // per sequence
  std::uint32_t sequences_max = 0;
  std::uint64_t size_bytes = 0;  // of the weights
};
struct LoadFailed {
  Error error;
};
struct StatsReport {
  std::uint32_t running = 0;
  std::uint32_t waiting = 0;
  float kv_cache_usage = 0;  // [0, 1]
};
using Notice = std::variant<Hello, Ready, LoadFailed, StatsReport>;

// Worker to front, on a data socket.
struct Update {
  RequestId id = 0;
  domain::Event event;
};

// check_request tells whether a request fits the protocol's limits: the front asks before it sends,
// the worker before it believes. Errors: too_large (which limit), invalid_argument (sampling out of
// range, text that is not UTF-8, empty stop text...). Defined in wire_request.cpp.
Result<void> check_request(const domain::GenerateRequest& request);

// encode_* makes one whole frame, length included. The value must be within the limits.
SecretBytes encode_command(const Command& command);
SecretBytes encode_notice(const Notice& notice);
SecretBytes encode_update(const Update& update);

// decode_* reads one frame without its length. Errors: malformed, too_large, invalid_argument.
Result<Command> decode_command(BytesView frame);
Result<Notice> decode_notice(BytesView frame);
Result<Update> decode_update(BytesView frame);

// FrameReader cuts a byte stream, fed in any pieces, into frames. Memory is bounded by the largest
// frame allowed, and grows with what has really arrived, not with what a length field claims.
class FrameReader {
 public:
  explicit FrameReader(std::size_t frame_bytes_max) : frame_bytes_max_{frame_bytes_max} {}

  // Room for the next read, at least one byte; then say how much of it was filled. Frames handed
  // out by next() are no longer valid after buffer().
  std::span<std::byte> buffer();
  void filled(std::size_t n) noexcept { end_ += n; }
  // The next whole frame (type and body), valid until the next call of buffer() or next(); nullopt
  // when more bytes are needed. Errors: malformed, too_large; the stream is then lost.
  Result<std::optional<BytesView>> next();

 private:
  void wipe_consumed() noexcept;
  std::size_t frame_bytes_max_;
  SecretBytes data_;
  std::size_t wiped_ = 0;  // [0, wiped_) is zero
  std::size_t begin_ = 0;  // consumed up to here
  std::size_t end_ = 0;
};

}  // namespace tacit::engine
