#include "seal/sealed_server.hpp"

#include "crypto/random.hpp"

namespace tacit::seal {
namespace {

constexpr std::size_t kSealedPreludeBytes = kPreludeBytes + crypto::kAeadTagBytes;

PskId unknown_psk_id() {
  PskId id{};
  crypto::random_bytes(id);
  return id;
}

CallerDirectory::Caller nobody() {
  CallerDirectory::Caller caller{SecretBytes{32}};
  crypto::random_bytes(caller.psk.reveal_mutable());
  return caller;
}

}  // namespace

Result<bool> SealedOpener::take_head() {
  if (!head_) {
    TACIT_TRY(auto head, frames_.take_raw(kRequestHeaderBytes + kSealedEncBytes));
    if (!head) return false;
    head_ = std::move(head);
  }
  if (!sealed_prelude_) {
    TACIT_TRY(const auto frame, frames_.next());
    if (!frame) return false;
    if (frame->final || frame->ciphertext.size() != kSealedPreludeBytes) return fail(refused());
    sealed_prelude_.emplace(frame->ciphertext.begin(), frame->ciphertext.end());
  }
  return true;
}

Result<std::optional<BytesView>> SealedOpener::authenticate(const FrameSplitter::Frame& first) {
  const auto now = parts_.clock.wall();
  TACIT_TRY(const auto header, parse_request_header(BytesView{*head_}.first(kRequestHeaderBytes)));
  const bool our_suite = header.kem == static_cast<std::uint16_t>(kSealedSuite.kem) &&
                         header.kdf == static_cast<std::uint16_t>(kSealedSuite.kdf) &&
                         header.aead == static_cast<std::uint16_t>(kSealedSuite.aead);
  key_ = our_suite ? parts_.keys.find(header.key_id, now) : nullptr;
  const auto& key = key_ ? *key_ : parts_.keys.decoy();
  binding_ = key.binding;

  const auto info = sealed_info(Direction::request, binding_);
  const auto enc = BytesView{*head_}.subspan(kRequestHeaderBytes);
  TACIT_TRY(auto outer, request_receiver(kSealedSuite, key, enc, info));
  SecretBytes opened{kPreludeBytes};
  // What does not open leaves zeros, which are no prelude: the work goes on with a
  // random caller.
  const auto prelude_opens = outer.open({}, *sealed_prelude_, opened.reveal_mutable());
  auto prelude = parse_prelude(opened.reveal());
  const bool sound = prelude_opens && prelude && key_;
  // Made in any case: drawing them takes longer than comparing.
  const auto unknown_id = unknown_psk_id();
  auto stranger = nobody();
  if (sound) prelude_ = *std::move(prelude);
  if (!sound) prelude_.psk_id = unknown_id;  // looked for like any other

  auto caller = parts_.callers.find(prelude_.psk_id);
  const bool known = sound && caller;
  if (!known) caller = std::move(stranger);
  TACIT_TRY(auto inner, inner_receiver(outer, info, caller->psk.reveal(), prelude_.psk_id));
  TACIT_TRY(auto reply, reply_psk(inner));
  PaddedReader reader{std::move(inner), 0};
  const auto data = reader.open(first);
  key_.reset();
  if (!data || !known) return fail(refused());
  if (caller->harmless) {
    if (!parts_.replays.in_window(prelude_.made, now)) return fail(refused());
  } else if (const auto admitted = parts_.replays.admit(prelude_.nonce, prelude_.made, now);
             !admitted) {
    if (admitted.error().code() == Code::overloaded) return fail(admitted.error());
    return fail(refused());
  }
  reply_psk_ = std::move(reply);
  reader_.emplace(std::move(reader));
  done_ = first.final;
  return *data;
}

Result<std::optional<BytesView>> SealedOpener::next() {
  if (!reader_) {
    const auto ready = take_head();
    if (!ready) return fail(refused());
    if (!*ready) return std::nullopt;
  }
  const auto frame = frames_.next();
  if (!frame) return fail(reader_ ? frame.error() : refused());
  if (!*frame) return std::nullopt;
  if (!reader_) return authenticate(**frame);
  TACIT_TRY(const auto data, reader_->open(**frame));
  done_ = (*frame)->final;
  return data;
}

Result<SealedAnswer> SealedOpener::answer() {
  TACIT_TRY(const auto key, crypto::KemPublicKey::parse(kSealedSuite.kem, prelude_.reply_key));
  const auto info = sealed_info(Direction::response, binding_);
  TACIT_TRY(const auto outer, crypto::HpkeSender::setup(kSealedSuite, key, info));
  TACIT_TRY(auto inner, inner_sender(outer, info, reply_psk_.reveal(), as_bytes(kReplyPskId)));
  Bytes enc{outer.enc().begin(), outer.enc().end()};
  reply_psk_ = SecretBytes{};
  return SealedAnswer{std::move(enc), PaddedWriter{FrameSealer{std::move(inner)},
                                                   prelude_.shape.frame_bytes(), true}};
}

Result<std::unique_ptr<AnswerSealer>> SealedOpener::answer_sealer() {
  TACIT_TRY(auto sealer, answer());
  return std::make_unique<SealedAnswer>(std::move(sealer));
}

}  // namespace tacit::seal
