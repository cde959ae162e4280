// Oblivious HTTP, plain and chunked, as whole exchanges with every intermediate value: the JSON of
// RFC 9458's and the chunked draft's examples. Also EHBP's vectors.
#include "seal/ohttp.hpp"

#include <algorithm>

#include "crypto/hkdf.hpp"
#include "json.hpp"
#include "seal/ehbp.hpp"
#include "seal/response_keys.hpp"

namespace tacit::vectors {
namespace {

using boost::json::object;

// Secret bytes against what the vector says.
bool same(BytesView ours, const object& vector, std::string_view name) {
  return !has(vector, name) || std::ranges::equal(ours, bytes(vector, name));
}

// Everything a message opens to, and in which pieces.
struct Opened {
  std::vector<Bytes> pieces;
  Bytes whole;
  bool finished = false;
};
Opened open_all(seal::RequestOpener& opener, BytesView wire) {
  Opened opened;
  opener.feed(wire);
  opener.end();
  while (!opener.finished()) {
    const auto data = opener.next();
    if (!data || !*data) break;
    opened.pieces.emplace_back((*data)->begin(), (*data)->end());
    opened.whole.insert(opened.whole.end(), (*data)->begin(), (*data)->end());
  }
  opened.finished = opener.finished();
  return opened;
}

bool same_pieces(const std::vector<Bytes>& ours, const object& vector, std::string_view name) {
  if (!has(vector, name)) return true;
  const auto& listed = vector.at(name).as_array();
  return std::ranges::equal(ours, listed, [](const Bytes& piece, const auto& text) {
    return piece == hex(text.as_string());
  });
}

// One exchange; the first thing that differs ends it.
class OhttpVector {
 public:
  explicit OhttpVector(const object& vector)
      : vector_{vector},
        chunked_{as_text(bytes(vector, "hpke_info")).find("chunked") != std::string_view::npos},
        request_{bytes(vector, "encapsulated_request")},
        answer_{bytes(vector, "encapsulated_response")} {}

  std::string_view run() {
    const auto config = seal::parse_key_config(bytes(vector_, "key_config"));
    if (!config) return "key_config";
    if (const auto wrong = check_numbers(*config); !wrong.empty()) return wrong;
    auto key = crypto::KemPrivateKey::parse(config->kem, bytes(vector_, "gateway_secret_key"));
    if (!key || !std::ranges::equal(key->public_bytes(), config->public_key)) {
      return "gateway_secret_key";
    }
    auto* const ring = keys_.ring(config->kem);
    if (ring == nullptr) return "KEM";
    ring->add({*std::move(key), *config, {}, clock_.wall(), clock_.wall() + Seconds{600}},
              clock_.wall());
    const auto opened = open(request_);
    if (!opened.finished || !same(opened.whole, vector_, "binary_http_request")) {
      return "binary_http_request";
    }
    if (!same_pieces(opened.pieces, vector_, "request_chunks")) return "request_chunks";
    if (const auto wrong = check_damaged(); !wrong.empty()) return wrong;
    return check_answer(*config);
  }

 private:
  std::string_view check_numbers(const seal::KeyConfig& config) {
    if (config.key_id != number(vector_, "key_id") ||
        static_cast<std::size_t>(config.kem) != number(vector_, "kem_id")) {
      return "numbers of key_config";
    }
    const auto suite =
        crypto::HpkeSuite::parse(static_cast<std::uint16_t>(config.kem),
                                 static_cast<std::uint16_t>(number(vector_, "kdf_id")),
                                 static_cast<std::uint16_t>(number(vector_, "aead_id")));
    if (!suite) return "suite";
    suite_ = *suite;
    const auto header = seal::encode_request_header(config.key_id, suite_);
    if (!std::ranges::equal(BytesView{request_}.first(header.size()), header)) return "header";
    auto info = Bytes{};
    const std::string_view label =
        chunked_ ? "message/bhttp chunked request" : "message/bhttp request";
    const auto text = as_bytes(label);
    info.insert(info.end(), text.begin(), text.end());
    info.push_back(std::byte{0});
    info.insert(info.end(), header.begin(), header.end());
    if (!same(info, vector_, "hpke_info")) return "hpke_info";
    const auto enc_bytes = crypto::kem_sizes(suite_.kem).enc;
    enc_.assign(request_.begin() + static_cast<std::ptrdiff_t>(header.size()),
                request_.begin() + static_cast<std::ptrdiff_t>(header.size() + enc_bytes));
    if (!same(enc_, vector_, "client_ephemeral_public_key")) return "client_ephemeral_public_key";
    if (!has(vector_, "client_ephemeral_secret_key")) return {};
    const auto ephemeral =
        crypto::KemPrivateKey::parse(suite_.kem, bytes(vector_, "client_ephemeral_secret_key"));
    return ephemeral && std::ranges::equal(ephemeral->public_bytes(), enc_)
               ? ""
               : "client_ephemeral_secret_key";
  }

  Opened open(BytesView wire) {
    const seal::OhttpParts parts{keys_, clock_};
    if (chunked_) {
      seal::ChunkedOhttpOpener opener{parts};
      return open_all(opener, wire);
    }
    seal::OhttpOpener opener{parts, 1 << 20};
    return open_all(opener, wire);
  }

  // A flipped bit never opens, and nothing that was cut is whole.
  std::string_view check_damaged() {
    for (std::size_t i = 0; i < request_.size(); ++i) {
      auto flipped = request_;
      flipped[i] ^= std::byte{1};
      if (open(flipped).finished) return "an altered request opens";
      if (open(BytesView{request_}.first(i)).finished) return "a request that was cut opens";
    }
    return {};
  }

  // The answer was sealed with a nonce of the vector's: its keys are derived, and it is opened.
  std::string_view check_answer(const seal::KeyConfig& config) {
    const auto key =
        crypto::KemPrivateKey::parse(config.kem, bytes(vector_, "gateway_secret_key")).value();
    const auto receiver =
        crypto::HpkeReceiver::setup(suite_, key, enc_, bytes(vector_, "hpke_info"));
    if (!receiver) return "HPKE";
    const std::string_view label =
        chunked_ ? "message/bhttp chunked response" : "message/bhttp response";
    const auto nonce_bytes = seal::response_nonce_bytes(suite_.aead);
    const auto secret = receiver->export_secret(as_bytes(label), nonce_bytes);
    if (!secret || !same(secret->reveal(), vector_, "response_secret")) return "response_secret";
    if (answer_.size() < nonce_bytes) return "encapsulated_response";
    auto salt = enc_;
    salt.insert(salt.end(), answer_.begin(),
                answer_.begin() + static_cast<std::ptrdiff_t>(nonce_bytes));
    if (!same(salt, vector_, "response_salt")) return "response_salt";
    crypto::Hkdf hkdf{crypto::HashId::sha256};
    SecretBytes prk{hkdf.prk_bytes()};
    hkdf.extract(salt, {secret->reveal()}, prk.reveal_mutable());
    if (!same(prk.reveal(), vector_, "response_prk")) return "response_prk";
    const auto nonce = BytesView{answer_}.first(nonce_bytes);
    const auto keys = seal::response_keys(suite_.aead, secret->reveal(), enc_, nonce);
    if (!keys || !same(keys->key.reveal(), vector_, "response_aead_key")) {
      return "response_aead_key";
    }
    if (!same(keys->base_nonce, vector_, "response_aead_nonce") ||
        !same(keys->base_nonce, vector_, "response_base_nonce")) {
      return "nonce of the response";
    }
    return open_answer(*keys, BytesView{answer_}.subspan(nonce_bytes));
  }

  std::string_view open_answer(const seal::ResponseKeys& keys, BytesView sealed) {
    auto sequence =
        crypto::AeadSequence::make(suite_.aead, keys.key.reveal(), keys.base_nonce).value();
    if (!chunked_) {
      if (sealed.size() < crypto::kAeadTagBytes) return "encapsulated_response";
      Bytes message(sealed.size() - crypto::kAeadTagBytes);
      const bool opens = sequence.open({}, sealed, message).has_value();
      return opens && same(message, vector_, "binary_http_response") ? "" : "binary_http_response";
    }
    std::vector<Bytes> pieces;
    Bytes message;
    seal::FrameOpenKeys opener{std::move(sequence)};
    seal::FrameSplitter chunks{1 << 20, seal::FrameSplitter::LengthForm::any};
    chunks.feed(sealed);
    chunks.end();
    while (!chunks.finished()) {
      const auto chunk = chunks.next();
      if (!chunk || !*chunk) return "chunks of the response";
      const auto data = seal::open_frame(opener, **chunk);
      if (!data) return "chunks of the response";
      pieces.emplace_back(data->begin(), data->end());
      message.insert(message.end(), data->begin(), data->end());
    }
    if (!same(message, vector_, "binary_http_response")) return "binary_http_response";
    if (!same_pieces(pieces, vector_, "response_chunks")) return "response_chunks";
    return check_chunk_nonces(keys.base_nonce);
  }

  std::string_view check_chunk_nonces(const crypto::AeadNonce& base) {
    if (!has(vector_, "response_chunk_nonces")) return {};
    std::uint8_t index = 0;
    for (const auto& listed : vector_.at("response_chunk_nonces").as_array()) {
      auto nonce = base;
      nonce.back() ^= std::byte{index++};
      if (!std::ranges::equal(nonce, hex(listed.as_string()))) return "response_chunk_nonces";
    }
    return {};
  }

  const object& vector_;
  const bool chunked_;
  const Bytes request_;
  const Bytes answer_;
  crypto::HpkeSuite suite_;
  Bytes enc_;
  ManualClock clock_;
  seal::OhttpKeys keys_;
};

std::string_view check_ohttp(const object& vector) { return OhttpVector{vector}.run(); }

std::string_view check_ehbp(const object& vector) {
  const auto keys =
      seal::response_keys(seal::kEhbpSuite.aead, bytes(vector, "exportedSecret"),
                          bytes(vector, "requestEnc"), bytes(vector, "responseNonce"));
  if (!keys || !same(keys->key.reveal(), vector, "derivedKey")) return "derivedKey";
  if (!same(keys->base_nonce, vector, "derivedNonceBase")) return "derivedNonceBase";
  if (!has(vector, "encryptedResponse")) return {};
  auto sequence =
      crypto::AeadSequence::make(seal::kEhbpSuite.aead, keys->key.reveal(), keys->base_nonce)
          .value();
  const auto wire = bytes(vector, "encryptedResponse");
  Bytes opened;
  for (ByteReader in{wire}; !in.done();) {
    const auto size = in.u32_be();
    const auto sealed = size ? in.take(*size) : Result<BytesView>{fail(size.error())};
    if (!sealed) return "encryptedResponse";
    if (sealed->empty()) continue;
    if (sealed->size() < crypto::kAeadTagBytes) return "encryptedResponse";
    Bytes data(sealed->size() - crypto::kAeadTagBytes);
    if (!sequence.open({}, *sealed, data)) return "encryptedResponse";
    opened.insert(opened.end(), data.begin(), data.end());
  }
  return same(opened, vector, "plaintext") ? "" : "plaintext";
}

template <std::string_view (*check)(const object&)> void run(const File& file, Tally& tally) {
  std::size_t index = 0;
  for (const auto* vector : objects(file)) {
    const auto wrong = check(*vector);
    tally.check(wrong.empty(), "vector " + std::to_string(index++), wrong);
  }
}

bool all_have(const File& file, std::initializer_list<std::string_view> names) {
  const auto found = objects(file);
  return !found.empty() &&
         std::ranges::all_of(found, [&](const object* vector) { return has_all(*vector, names); });
}
bool is_ohttp(const File& file) {
  return all_have(file, {"key_config", "gateway_secret_key", "hpke_info", "encapsulated_request",
                         "encapsulated_response"});
}
bool is_ehbp(const File& file) {
  return all_have(file, {"exportedSecret", "requestEnc", "responseNonce"});
}

}  // namespace

Kinds ohttp_kinds() {
  return {{"Oblivious HTTP", is_ohttp, run<check_ohttp>}, {"EHBP", is_ehbp, run<check_ehbp>}};
}

}  // namespace tacit::vectors
