// The server's side of the sealed channel: one request and its answer, sans I/O.
//
// Until the first frame has opened nobody has proved anything, and every failure is the same one:
// refused() - unknown key, altered byte, unknown caller, repeated or late request - after the same
// work. From then on failures are the caller's own business, and may be told inside.
#pragma once

#include "seal/encapsulated.hpp"
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
class SealedAnswer final : public AnswerSealer {
 public:
  BytesView head() const noexcept override { return enc_; }
  // As PaddedWriter.
  void append(BytesView data) override { writer_.append(data); }
  Result<void> write(BytesView data, Bytes& out) override { return writer_.write(data, out); }
  Result<void> flush(bool even_empty, Bytes& out) override {
    return writer_.flush(even_empty, out);
  }
  Result<void> finish(Bytes& out) override { return writer_.finish(out); }
  std::size_t pending() const noexcept override { return writer_.pending(); }

 private:
  friend class SealedOpener;
  SealedAnswer(Bytes enc, PaddedWriter writer) noexcept
      : enc_{std::move(enc)}, writer_{std::move(writer)} {}
  Bytes enc_;
  PaddedWriter writer_;
};

// SealedOpener opens a request. Movable; not thread-safe. Everything it is given outlives it.
class SealedOpener final : public RequestOpener {
 public:
  struct Parts {
    KeyRing& keys;
    CallerDirectory& callers;
    ReplayCache& replays;
    const Clock& clock;
  };
  explicit SealedOpener(Parts parts)
      : parts_{parts}, frames_{kFrameBytesMax + crypto::kAeadTagBytes} {}

  void feed(BytesView in) override { frames_.feed(in); }
  void end() noexcept override { frames_.end(); }
  Result<std::optional<BytesView>> next() override;
  // Whether the caller has proved itself, and the request is neither late nor a repetition.
  bool authenticated() const noexcept override { return reader_.has_value(); }
  bool finished() const noexcept override { return done_; }

  ReplyShape shape() const noexcept override { return prelude_.shape; }
  std::string_view answer_media_type() const noexcept override { return kAnswerMediaType; }
  std::optional<ReplayNonce> replay_nonce() const noexcept override { return std::nullopt; }
  // The answer's side; once. Errors: malformed when the client's key is none.
  Result<SealedAnswer> answer();
  Result<std::unique_ptr<AnswerSealer>> answer_sealer() override;

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
