// The server's side of the sealed channel: one request and its answer, sans I/O.
//
// Until the first frame has opened nobody has proved anything, and every failure is the same one:
// refused() - unknown key, altered byte, unknown caller, repeated or late request - after the same
// work. From then on failures are the caller's own business, and may be told inside.
#pragma once

#include "seal/key_ring.hpp"
#include "seal/sealed.hpp"

namespace tacit::seal {

// CallerDirectory knows the callers. Called on the thread that opens the request.
class CallerDirectory {
 public:
  virtual ~CallerDirectory() = default;
  struct Caller {
    SecretBytes psk;
    // Its requests do no harm when they are repeated: they are not kept in the replay cache.
    bool harmless = false;
  };
  // The caller of `id`, whom the directory may note for later; nullopt when unknown.
  virtual std::optional<Caller> find(const PskId& id) = 0;
};

// SealedAnswer seals an answer. Movable; not thread-safe.
class SealedAnswer {
 public:
  // What goes first.
  BytesView head() const noexcept { return enc_; }
  // As PaddedWriter.
  void append(BytesView data) { writer_.append(data); }
  Result<void> write(BytesView data, Bytes& out) { return writer_.write(data, out); }
  Result<void> flush(bool even_empty, Bytes& out) { return writer_.flush(even_empty, out); }
  Result<void> finish(Bytes& out) { return writer_.finish(out); }
  std::size_t pending() const noexcept { return writer_.pending(); }

 private:
  friend class SealedOpener;
  SealedAnswer(Bytes enc, PaddedWriter writer) noexcept
      : enc_{std::move(enc)}, writer_{std::move(writer)} {}
  Bytes enc_;
  PaddedWriter writer_;
};

// SealedOpener opens a request. Movable; not thread-safe. Everything it is given outlives it.
class SealedOpener {
 public:
  struct Parts {
    KeyRing& keys;
    CallerDirectory& callers;
    ReplayCache& replays;
    const Clock& clock;
  };
  explicit SealedOpener(Parts parts)
      : parts_{parts}, frames_{kFrameBytesMax + crypto::kAeadTagBytes} {}

  // The one answer to whoever has proved nothing.
  static Error refused();

  // Takes received bytes, and that there are no more.
  void feed(BytesView in) { frames_.feed(in); }
  void end() noexcept { frames_.end(); }

  // The data of the next frame, perhaps empty; a view that dies with the next call. nullopt when
  // more input is needed, or at the end. Errors: refused() before authenticated(), overloaded when
  // the replay cache is full; then corrupt and malformed.
  Result<std::optional<BytesView>> next();
  // Whether the caller has proved itself, and the request is neither late nor a repetition.
  bool authenticated() const noexcept { return reader_.has_value(); }
  bool finished() const noexcept { return done_; }

  // After authenticated().
  const ReplyShape& shape() const noexcept { return prelude_.shape; }
  // The answer's side; once. Errors: malformed when the client's key is none.
  Result<SealedAnswer> answer();

 private:
  Result<bool> take_head();
  Result<std::optional<BytesView>> authenticate(const FrameSplitter::Frame& first);

  Parts parts_;
  FrameSplitter frames_;
  std::optional<Bytes> head_;  // request header and encapsulated key
  std::optional<Bytes> sealed_prelude_;
  std::shared_ptr<const SealedKey> key_;  // until authenticated
  Binding binding_;
  Prelude prelude_;
  SecretBytes reply_psk_;
  std::optional<PaddedReader> reader_;
  bool done_ = false;
};

}  // namespace tacit::seal
