#include "seal/ohttp.hpp"

#include <algorithm>

#include "crypto/random.hpp"
#include "seal/response_keys.hpp"

namespace tacit::seal {
namespace {

constexpr std::string_view kRequestLabel = "message/bhttp request";
constexpr std::string_view kAnswerLabel = "message/bhttp response";
constexpr std::string_view kChunkedRequestLabel = "message/bhttp chunked request";
constexpr std::string_view kChunkedAnswerLabel = "message/bhttp chunked response";

// AES-128-GCM first: not every client has a longer key right (see docs/guide/oblivious-http.md).
KeyKind kind_of(crypto::KemId kem, std::uint8_t id_min, std::uint8_t id_max) {
  return {kem,
          {{crypto::KdfId::hkdf_sha256, crypto::AeadId::aes_128_gcm},
           {crypto::KdfId::hkdf_sha256, crypto::AeadId::chacha20_poly1305}},
          id_min,
          id_max};
}

Bytes info_of(std::string_view label, BytesView header) {
  ByteWriter out;
  out.raw(label);
  out.u8(0);
  out.raw(header);
  return std::move(out).take();
}

struct Head {
  crypto::HpkeSuite suite;
  std::uint8_t key_id = 0;
  KeyRing* ring = nullptr;
  std::size_t enc_bytes = 0;
};

// Which key a request is for. Error: refused().
Result<Head> read_header(OhttpKeys& keys, BytesView bytes) {
  const auto header = parse_request_header(bytes);
  if (!header) return fail(refused());
  const auto suite = crypto::HpkeSuite::parse(header->kem, header->kdf, header->aead);
  auto* ring = suite ? keys.ring(suite->kem) : nullptr;
  if (ring == nullptr ||
      std::ranges::find(ring->kind().suites, SymmetricSuite{suite->kdf, suite->aead}) ==
          ring->kind().suites.end()) {
    return fail(refused());
  }
  return Head{*suite, header->key_id, ring, crypto::kem_sizes(suite->kem).enc};
}

// Error: refused(). What was encapsulated to no key of ours opens nothing.
Result<OhttpContext> set_up(const Head& head, BytesView header, BytesView enc,
                            std::string_view label, WallTime now) {
  const auto key = head.ring->find(head.key_id, now);
  auto receiver =
      request_receiver(head.suite, key ? *key : head.ring->decoy(), enc, info_of(label, header));
  if (!receiver) return fail(refused());
  return OhttpContext{*std::move(receiver), {enc.begin(), enc.end()}, key != nullptr};
}

struct AnswerKeys {
  Bytes nonce;
  crypto::AeadSequence sequence;
};
Result<AnswerKeys> answer_keys(const OhttpContext& context, std::string_view label) {
  Bytes nonce(response_nonce_bytes(context.receiver.suite().aead));
  crypto::random_bytes(nonce);
  TACIT_TRY(auto sequence, response_sequence(context.receiver, label, context.enc, nonce));
  return AnswerKeys{std::move(nonce), std::move(sequence)};
}

// One ciphertext: nothing leaves before the end.
class OhttpAnswer final : public AnswerSealer {
 public:
  explicit OhttpAnswer(AnswerKeys keys) : keys_{std::move(keys)} {}
  BytesView head() const noexcept override { return keys_.nonce; }
  void append(BytesView data) override { message_.append(as_text(data)); }
  Result<void> write(BytesView data, Bytes&) override {
    append(data);
    return {};
  }
  Result<void> flush(bool, Bytes&) override { return {}; }
  Result<void> finish(Bytes& out) override {
    const auto begin = out.size();
    out.resize(begin + message_.size() + crypto::kAeadTagBytes);
    TACIT_CHECK(
        keys_.sequence.seal({}, as_bytes(message_.reveal()), std::span{out}.subspan(begin)));
    message_ = SecretText{};
    return {};
  }
  std::size_t pending() const noexcept override { return message_.size(); }

 private:
  AnswerKeys keys_;
  SecretText message_;
};

class ChunkedOhttpAnswer final : public AnswerSealer {
 public:
  explicit ChunkedOhttpAnswer(AnswerKeys keys)
      : nonce_{std::move(keys.nonce)}, chunks_{std::move(keys.sequence)} {}
  BytesView head() const noexcept override { return nonce_; }
  void append(BytesView data) override { pending_.append(as_text(data)); }
  Result<void> write(BytesView data, Bytes& out) override {
    append(data);
    return send(pending_.size() / kOhttpChunkBytesMax * kOhttpChunkBytesMax, out);
  }
  // An empty chunk that is not the final one is no chunk.
  Result<void> flush(bool, Bytes& out) override { return send(pending_.size(), out); }
  Result<void> finish(Bytes& out) override {
    if (pending_.size() > kOhttpChunkBytesMax) TACIT_CHECK(write({}, out));
    TACIT_CHECK(chunks_.seal(as_bytes(pending_.reveal()), true, out));
    pending_ = SecretText{};
    return {};
  }
  std::size_t pending() const noexcept override { return pending_.size(); }

 private:
  Result<void> send(std::size_t n, Bytes& out) {
    auto data = as_bytes(pending_.reveal());
    const auto rest = data.subspan(n);
    for (data = data.first(n); !data.empty();) {
      const auto chunk = data.first(std::min(data.size(), kOhttpChunkBytesMax));
      TACIT_CHECK(chunks_.seal(chunk, false, out));
      data = data.subspan(chunk.size());
    }
    if (n > 0) pending_ = SecretText{as_text(rest)};
    return {};
  }

  Bytes nonce_;
  FrameSealer chunks_;
  SecretText pending_;
};

}  // namespace

OhttpKeys::OhttpKeys()
    : xwing_{kind_of(crypto::KemId::mlkem768_x25519, 0x40, kSealedKeyIdMin - 1)},
      x25519_{kind_of(crypto::KemId::dhkem_x25519, 0x00, 0x3f)} {}

void OhttpKeys::rotate(WallTime now, WallTime not_after) {
  for (auto* ring : {&xwing_, &x25519_}) {
    auto draft = ring->draft();
    ring->add({std::move(draft.key), std::move(draft.config), {}, now, not_after}, now);
  }
}

std::vector<KeyConfig> OhttpKeys::configs(WallTime now) {
  std::vector<KeyConfig> newest;
  for (auto* ring : {&xwing_, &x25519_}) {
    const auto live = ring->live(now);
    if (!live.empty()) newest.push_back(live.front()->config);
  }
  return newest;
}

KeyRing* OhttpKeys::ring(crypto::KemId kem) noexcept {
  for (auto* ring : {&xwing_, &x25519_}) {
    if (ring->kind().kem == kem) return ring;
  }
  return nullptr;
}

OhttpOpener::~OhttpOpener() { wipe(message_); }

void OhttpOpener::feed(BytesView in) {
  // One byte over the limit is enough to know that the message is too long.
  const auto room = message_bytes_max_ + 1 - std::min(message_.size(), message_bytes_max_ + 1);
  const auto taken = in.first(std::min(in.size(), room));
  message_.insert(message_.end(), taken.begin(), taken.end());
}

Result<std::optional<BytesView>> OhttpOpener::next() {
  if (message_.size() > message_bytes_max_) return fail(refused());
  if (!ended_ || context_) return std::nullopt;
  if (message_.size() < kRequestHeaderBytes) return fail(refused());
  const auto header = BytesView{message_}.first(kRequestHeaderBytes);
  TACIT_TRY(const auto head, read_header(parts_.keys, header));
  const auto sealed_begin = kRequestHeaderBytes + head.enc_bytes;
  if (message_.size() < sealed_begin + crypto::kAeadTagBytes) return fail(refused());
  const auto enc = BytesView{message_}.subspan(kRequestHeaderBytes, head.enc_bytes);
  TACIT_TRY(auto context, set_up(head, header, enc, kRequestLabel, parts_.clock.wall()));
  const auto sealed = std::span{message_}.subspan(sealed_begin);
  const auto place = sealed.first(sealed.size() - crypto::kAeadTagBytes);
  const auto opened = context.receiver.open({}, sealed, place);
  if (!opened || !context.known) return fail(refused());
  context_ = std::move(context);
  return place;
}

ReplyShape OhttpOpener::shape() const noexcept { return {.pace_ms = ReplyShape::kWhole}; }

std::optional<ReplayNonce> OhttpOpener::replay_nonce() const noexcept {
  return context_ ? std::optional{replay_nonce_of(context_->enc)} : std::nullopt;
}

Result<std::unique_ptr<AnswerSealer>> OhttpOpener::answer_sealer() {
  TACIT_TRY(auto keys, answer_keys(*context_, kAnswerLabel));
  return std::make_unique<OhttpAnswer>(std::move(keys));
}

ChunkedOhttpOpener::ChunkedOhttpOpener(OhttpParts parts)
    : parts_{parts},
      chunks_{kFrameBytesMax + crypto::kAeadTagBytes, FrameSplitter::LengthForm::any} {}

Result<bool> ChunkedOhttpOpener::take_head() {
  if (context_) return true;
  if (!header_) {
    TACIT_TRY(auto header, chunks_.take_raw(kRequestHeaderBytes));
    if (!header) return false;
    header_ = std::move(header);
  }
  TACIT_TRY(const auto head, read_header(parts_.keys, *header_));
  TACIT_TRY(const auto enc, chunks_.take_raw(head.enc_bytes));
  if (!enc) return false;
  TACIT_TRY(context_, set_up(head, *header_, *enc, kChunkedRequestLabel, parts_.clock.wall()));
  return true;
}

Result<std::optional<BytesView>> ChunkedOhttpOpener::next() {
  const auto ready = take_head();
  if (!ready) return fail(refused());
  if (!*ready) return std::nullopt;
  const auto chunk = chunks_.next();
  if (!chunk) return fail(authenticated_ ? chunk.error() : refused());
  if (!*chunk) return std::nullopt;
  const auto data = open_frame(context_->receiver, **chunk);
  if (!authenticated_ && (!data || !context_->known)) return fail(refused());
  if (!data) return fail(data.error());
  authenticated_ = true;
  finished_ = (*chunk)->final;
  return *data;
}

ReplyShape ChunkedOhttpOpener::shape() const noexcept { return {}; }

std::optional<ReplayNonce> ChunkedOhttpOpener::replay_nonce() const noexcept {
  return context_ ? std::optional{replay_nonce_of(context_->enc)} : std::nullopt;
}

Result<std::unique_ptr<AnswerSealer>> ChunkedOhttpOpener::answer_sealer() {
  TACIT_TRY(auto keys, answer_keys(*context_, kChunkedAnswerLabel));
  return std::make_unique<ChunkedOhttpAnswer>(std::move(keys));
}

}  // namespace tacit::seal
