// A thief has recorded an exchange and later takes everything that both machines hold. What opens?
// He really tries; and the keys that are said to be erased are looked for in this process's memory.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "crypto/random.hpp"
#include "seal/sealed_client.hpp"
#include "seal/sealed_server.hpp"
#include "seal/statement.hpp"

namespace tacit::seal {
namespace {

constexpr std::size_t kSeedBytes = 32;
constexpr Seconds kLife{600};
constexpr std::string_view kQuestion = "the question that was recorded";
constexpr std::string_view kReply = "the answer that was recorded";

class OneCaller final : public CallerDirectory {
 public:
  std::optional<Caller> find(const PskId& id) override {
    auto key = caller_key(crypto::sha256(as_bytes("tk-recorded")));
    if (id != key.id) return std::nullopt;
    return Caller{std::move(key.psk)};
  }
};

// --- looking for a secret in this process -----------------------------------------------------

// A secret by which the search itself does not leave a trace: no byte of it is here as it is.
class Masked {
 public:
  explicit Masked(BytesView secret) {
    for (const auto byte : secret) bytes_.push_back(byte ^ kMask);
  }
  bool is_at(const std::byte* place) const {
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      if ((place[i] ^ kMask) != bytes_[i]) return false;
    }
    return true;
  }
  std::size_t size() const { return bytes_.size(); }

 private:
  static constexpr std::byte kMask{0xa5};
  Bytes bytes_;
};

// How often `secret` is in the memory that this process may write to.
int occurrences(const Masked& secret) {
  wipe_stack();
  int found = 0;
  std::ifstream maps{"/proc/self/maps"};
  const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  Bytes page(1 << 20);
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0;
    unsigned long end = 0;
    char mode[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, mode) != 3 || mode[1] != 'w')
      continue;
    for (auto at = begin; at < end; at += page.size() - secret.size()) {
      const auto n = ::pread(memory, page.data(), std::min<std::size_t>(page.size(), end - at),
                             static_cast<off_t>(at));
      if (n < static_cast<ssize_t>(secret.size())) break;
      for (std::size_t i = 0; i + secret.size() <= static_cast<std::size_t>(n); ++i) {
        const auto address = at + i;
        const auto own = reinterpret_cast<unsigned long>(page.data());
        const bool in_page = address + secret.size() > own && address < own + page.size();
        if (!in_page && secret.is_at(page.data() + i)) ++found;
      }
      wipe(page);
    }
  }
  ::close(memory);
  return found;
}

// --- the exchange ---------------------------------------------------------------------------

class ForwardSecrecy : public testing::Test {
 protected:
  ForwardSecrecy() {
    add_key(crypto::KemPrivateKey::generate(kSealedSuite.kem));
    remember_secrets(*ring.find(key_id, clock.wall()));
    exchange();
  }

  // As the gateway does at half of a key's life.
  void add_key(crypto::KemPrivateKey key) {
    auto draft = ring.draft();
    const auto bytes = key.public_bytes();
    draft.config.public_key.assign(bytes.begin(), bytes.end());
    known = server_key(draft.config, crypto::sha256(as_bytes("statement"))).value();
    key_id = draft.config.key_id;
    const auto now = clock.wall();
    ring.add({std::move(key), draft.config, known->binding, now, now + kLife}, now);
  }
  void rotate() { add_key(crypto::KemPrivateKey::generate(kSealedSuite.kem)); }

  void remember_secrets(const SealedKey& key) {
    SecretBytes seed = key.key.private_bytes();
    SecretBytes expanded{96};
    crypto::shake256({seed.reveal()}, expanded.reveal_mutable());
    secrets.emplace("seed", Masked{seed.reveal()});
    secrets.emplace("X25519 scalar", Masked{expanded.reveal().last(kSeedBytes)});
    stolen_while_alive = std::move(seed);
  }

  void exchange() {
    const auto caller = caller_key(crypto::sha256(as_bytes("tk-recorded")));
    binding = known->binding;
    auto reply_key = crypto::KemPrivateKey::generate(kSealedSuite.kem);
    secrets.emplace("the client's reply key", Masked{reply_key.private_bytes().reveal()});
    auto draft = RequestDraft::make(*known, std::move(reply_key)).value();
    auto sealed = SealedRequest::begin(std::move(draft), caller, {}, clock.wall()).value();
    request.assign(sealed.head().begin(), sealed.head().end());
    ASSERT_TRUE(sealed.write(as_bytes(kQuestion), request));
    ASSERT_TRUE(sealed.finish(request));
    SealedOpener opener{{ring, callers, replays, clock}};
    opener.feed(request);
    opener.end();
    ASSERT_EQ(as_text(**opener.next()), kQuestion);
    auto answer = opener.answer().value();
    reply.assign(answer.head().begin(), answer.head().end());
    ASSERT_TRUE(answer.write(as_bytes(kReply), reply));
    ASSERT_TRUE(answer.finish(reply));
    auto side = sealed.reply();
    side.feed(reply);
    side.end();
    ASSERT_EQ(as_text(**side.next()), kReply);
  }

  // The recorded request under a private key that the thief has; what he reads of it, with the
  // secret that the reply's frames hang on.
  struct Loot {
    std::string question;
    SecretBytes reply_psk;
  };
  std::optional<Loot> try_request(const crypto::KemPrivateKey& key) const {
    const auto info = sealed_info(Direction::request, binding);
    auto outer = crypto::HpkeReceiver::setup(
        kSealedSuite, key, BytesView{request}.subspan(kRequestHeaderBytes, kSealedEncBytes), info);
    if (!outer) return std::nullopt;
    FrameSplitter frames{kFrameBytesMax + crypto::kAeadTagBytes};
    frames.feed(BytesView{request}.subspan(kRequestHeaderBytes + kSealedEncBytes));
    frames.end();
    const auto prelude_frame = **frames.next();
    SecretBytes opened{kPreludeBytes};
    if (!outer->open({}, prelude_frame.ciphertext, opened.reveal_mutable())) return std::nullopt;
    const auto prelude = parse_prelude(opened.reveal());
    if (!prelude) return std::nullopt;
    const auto caller = caller_key(crypto::sha256(as_bytes("tk-recorded")));
    auto inner = inner_receiver(*outer, info, caller.psk.reveal(), prelude->psk_id);
    auto psk = reply_psk(*inner);
    PaddedReader reader{std::move(*inner), 0};
    const auto frame = **frames.next();
    const auto data = reader.open(frame);
    if (!data) return std::nullopt;
    return Loot{std::string{as_text(*data)}, std::move(*psk)};
  }

  // The recorded reply under a private key and a PSK that the thief has.
  bool try_reply(const crypto::KemPrivateKey& key, BytesView psk) const {
    const auto info = sealed_info(Direction::response, binding);
    const auto outer = crypto::HpkeReceiver::setup(kSealedSuite, key,
                                                   BytesView{reply}.first(kSealedEncBytes), info);
    return outer && opens_reply(inner_receiver(*outer, info, psk, as_bytes(kReplyPskId)));
  }
  // With a guess in place of the KEM's secret.
  bool guess_reply(BytesView secret, BytesView psk) const {
    const auto info = sealed_info(Direction::response, binding);
    const auto outer = crypto::HpkeReceiver::from_secret(kSealedSuite, secret, info);
    return outer && opens_reply(inner_receiver(*outer, info, psk, as_bytes(kReplyPskId)));
  }
  bool opens_reply(Result<crypto::HpkeReceiver> inner) const {
    if (!inner) return false;
    FrameSplitter frames{kFrameBytesMax + crypto::kAeadTagBytes};
    frames.feed(BytesView{reply}.subspan(kSealedEncBytes));
    frames.end();
    PaddedReader reader{std::move(*inner), 0};
    const auto frame = **frames.next();
    return reader.open(frame).has_value();
  }

  ManualClock clock;
  KeyRing ring;
  OneCaller callers;
  ReplayCache replays;
  std::optional<ServerKey> known;
  std::uint8_t key_id = 0;
  Binding binding;
  Bytes request;
  Bytes reply;
  SecretBytes stolen_while_alive;
  std::map<std::string, Masked> secrets;
};

TEST_F(ForwardSecrecy, AKeyThatIsStolenInTimeOpensTheRequestAndNotTheReply) {
  const auto stolen = crypto::KemPrivateKey::parse(kSealedSuite.kem, stolen_while_alive.reveal());
  const auto loot = try_request(*stolen);
  ASSERT_TRUE(loot);  // so the thief of this test knows his trade
  EXPECT_EQ(loot->question, kQuestion);
  // He has the PSK of the reply, the server's key, all that the request says, and still not the
  // secret that the server encapsulated to the client.
  EXPECT_FALSE(try_reply(*stolen, loot->reply_psk.reveal()));
  EXPECT_FALSE(guess_reply(loot->reply_psk.reveal(), loot->reply_psk.reveal()));
  EXPECT_FALSE(guess_reply(stolen_while_alive.reveal(), loot->reply_psk.reveal()));
}

TEST_F(ForwardSecrecy, AfterRotationNothingThatEitherEndHoldsOpensAnything) {
  stolen_while_alive = SecretBytes{};
  for (int i = 0; i < 3; ++i) {
    clock.advance(kLife / 2 + Seconds{1});
    rotate();
  }
  std::vector<crypto::KemPrivateKey> loot;
  for (const auto& live : ring.live(clock.wall())) {
    loot.push_back(
        crypto::KemPrivateKey::parse(kSealedSuite.kem, live->key.private_bytes().reveal()).value());
  }
  EXPECT_GE(loot.size(), 2u);
  loot.push_back(
      crypto::KemPrivateKey::parse(kSealedSuite.kem, ring.decoy().key.private_bytes().reveal())
          .value());
  // The identity: its seeds are on disk for ever.
  const auto identity = Identity::generate().seeds();
  for (const auto part :
       {identity.reveal().first(kSeedBytes), identity.reveal().last(kSeedBytes)}) {
    loot.push_back(crypto::KemPrivateKey::parse(kSealedSuite.kem, part).value());
  }
  // The caller's secrets, which both ends keep.
  const auto caller = caller_key(crypto::sha256(as_bytes("tk-recorded")));
  loot.push_back(crypto::KemPrivateKey::parse(kSealedSuite.kem, caller.psk.reveal()).value());
  for (const auto& key : loot) {
    EXPECT_FALSE(try_request(key));
    EXPECT_FALSE(try_reply(key, caller.psk.reveal()));
  }
  // And the server itself, asked to open it.
  SealedOpener opener{{ring, callers, replays, clock}};
  opener.feed(request);
  opener.end();
  EXPECT_FALSE(opener.next());
}

TEST_F(ForwardSecrecy, ErasedKeysAreInNoMemory) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "sanitizers keep copies of what was freed";
#endif
#endif
  // The search finds what is there.
  EXPECT_GE(occurrences(secrets.at("seed")), 1);
  EXPECT_GE(occurrences(secrets.at("X25519 scalar")), 1);
  EXPECT_EQ(occurrences(secrets.at("the client's reply key")), 0);
  stolen_while_alive = SecretBytes{};
  for (int i = 0; i < 3; ++i) {
    clock.advance(kLife / 2 + Seconds{1});
    rotate();
  }
  for (const auto& [name, secret] : secrets) EXPECT_EQ(occurrences(secret), 0) << name;
}

}  // namespace
}  // namespace tacit::seal
