// Frames: how a message is cut into authenticated pieces, as draft-ietf-ohai-chunked-ohttp has it.
// Each is a varint length, in its shortest form, and a ciphertext; length 0 announces the final
// one, which reaches to the end of the stream and is sealed with the AAD "final". Place and end are
// thereby authenticated: loss, repetition, exchange, insertion and truncation do not open.
//
// Sans I/O; not thread-safe; movable.
#pragma once

#include <optional>
#include <variant>

#include "core/bytes.hpp"
#include "core/secret.hpp"
#include "crypto/aead.hpp"
#include "crypto/hpke.hpp"

namespace tacit::seal {

// FrameKeys numbers and seals the messages of one direction.
using FrameSealKeys = std::variant<crypto::HpkeSender, crypto::AeadSequence>;
using FrameOpenKeys = std::variant<crypto::HpkeReceiver, crypto::AeadSequence>;

class FrameSealer {
 public:
  explicit FrameSealer(FrameSealKeys keys) noexcept : keys_{std::move(keys)} {}

  // Appends a frame with `plaintext` to `out`; an empty one that is not final appends nothing.
  // Errors: invalid_argument after the final frame; as AeadSequence::seal.
  Result<void> seal(BytesView plaintext, bool final, Bytes& out);
  // The same in two steps, without a copy: reserve() appends the prefix and returns where `n` bytes
  // of plaintext go, and close() seals them where they stand. The span dies with any other change
  // of `out`.
  std::span<std::byte> reserve(std::size_t n, bool final, Bytes& out);
  Result<void> close(std::size_t n, bool final, Bytes& out);
  bool finished() const noexcept { return finished_; }

 private:
  FrameSealKeys keys_;
  bool finished_ = false;
};

// FrameSplitter finds the frames in a byte stream. What was opened in place is wiped by the next
// call and at the end.
class FrameSplitter {
 public:
  // Whether a frame's length must be in its shortest form. The chunks of Oblivious HTTP may have
  // any (RFC 9000 section 16).
  enum class LengthForm : std::uint8_t { shortest, any };
  // `ciphertext_max` bounds a frame, tag included.
  explicit FrameSplitter(std::size_t ciphertext_max,
                         LengthForm form = LengthForm::shortest) noexcept
      : ciphertext_max_{ciphertext_max}, form_{form} {}

  ~FrameSplitter() { wipe_given(); }
  FrameSplitter(FrameSplitter&& other) noexcept = default;
  FrameSplitter& operator=(FrameSplitter&& other) noexcept = default;

  void feed(BytesView in) {
    wipe_given();
    held_.insert(held_.end(), in.begin(), in.end());
  }
  void end() noexcept { ended_ = true; }

  struct Frame {
    std::span<std::byte> ciphertext;  // may be opened in place; dies with the next call
    bool final = false;
  };
  // The next whole frame; nullopt when more input is needed, or after the final one. Errors:
  // too_large; malformed "cut short" once end() was called, and for a frame shorter than a tag.
  Result<std::optional<Frame>> next();
  bool finished() const noexcept { return finished_; }
  // Bytes taken and not yet given out.
  std::size_t held() const noexcept { return held_.size() - begin_; }
  // Gives up what it holds, in order: for a stream whose beginning is not made of frames.
  Result<std::optional<Bytes>> take_raw(std::size_t n);

 private:
  void compact();
  void wipe_given() noexcept;
  std::size_t ciphertext_max_;
  LengthForm form_;
  Bytes held_;
  std::size_t begin_ = 0;
  std::size_t given_ = 0;  // bytes before begin_ that the last frame has
  bool in_final_ = false;
  bool ended_ = false;
  bool finished_ = false;
};

// Opens `frame` in place. Returns the plaintext, a view of the same bytes. Errors: corrupt.
Result<BytesView> open_frame(FrameOpenKeys& keys, const FrameSplitter::Frame& frame);
Result<BytesView> open_frame(crypto::HpkeReceiver& keys, const FrameSplitter::Frame& frame);

}  // namespace tacit::seal
