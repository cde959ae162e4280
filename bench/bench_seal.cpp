// What sealing costs on one core, without a network: whole exchanges against the X-Wing operations
// they cannot do without, and frames against the bare AEAD, measured side by side.
//
//   ./dev bench seal
//
// The Rust crate `ohttp` does the same round trip in tests/interop/rust:
//   cargo run --release --locked --manifest-path tests/interop/rust/Cargo.toml --bin bench
#include <algorithm>
#include <cstdio>
#include <optional>

#include "bench_measure.hpp"
#include "seal/ohttp.hpp"
#include "seal/sealed_client.hpp"
#include "seal/sealed_server.hpp"
#include "seal/testing/ohttp_client.hpp"

using namespace tacit;  // a program of one file

namespace {

using bench::measure;
using bench::require;

class Anyone final : public seal::CallerDirectory {
 public:
  std::optional<Caller> find(const seal::PskId&) override {
    return Caller{SecretBytes{caller_.psk.reveal()}, true};
  }

 private:
  seal::CallerKey caller_ = seal::anonymous_caller();
};

struct World {
  SystemClock clock;
  seal::KeyRing ring;
  Anyone callers;
  seal::ReplayCache replays;
  std::optional<seal::ServerKey> server;
  seal::CallerKey caller = seal::anonymous_caller();

  World() {
    auto draft = ring.draft();
    server = seal::server_key(draft.config, {}).value();
    const auto now = clock.wall();
    ring.add({std::move(draft.key), draft.config, server->binding, now, now + Seconds{600}}, now);
  }
};

Bytes sealed_request(World& world, BytesView body, std::optional<seal::SealedReply>& reply) {
  auto request = seal::SealedRequest::begin(seal::RequestDraft::make(*world.server).value(),
                                            world.caller, {}, world.clock.wall());
  require(request.has_value());
  Bytes wire{request->head().begin(), request->head().end()};
  require(request->write(body, wire) && request->finish(wire));
  reply.emplace(request->reply());
  return wire;
}

// Opens a request and returns the side that answers.
seal::SealedAnswer opened(World& world, BytesView wire) {
  seal::SealedOpener opener{{world.ring, world.callers, world.replays, world.clock}};
  opener.feed(wire);
  opener.end();
  for (;;) {
    const auto data = opener.next();
    require(data.has_value());
    if (!*data) break;
  }
  require(opener.finished());
  auto answer = opener.answer();
  require(answer.has_value());
  return *std::move(answer);
}

void whole_exchange(World& world, BytesView body) {
  std::optional<seal::SealedReply> reply;
  auto answer = opened(world, sealed_request(world, body, reply));
  Bytes back{answer.head().begin(), answer.head().end()};
  require(answer.write(body.first(std::min<std::size_t>(body.size(), 400)), back).has_value());
  require(answer.finish(back).has_value());
  reply->feed(back);
  reply->end();
  for (;;) {
    const auto data = reply->next();
    require(data.has_value());
    if (!*data) break;
  }
  require(reply->finished());
}

void exchanges(World& world) {
  const auto key = crypto::KemPrivateKey::generate(seal::kSealedSuite.kem);
  const auto public_key =
      crypto::KemPublicKey::parse(seal::kSealedSuite.kem, key.public_bytes()).value();
  const auto made = public_key.encapsulate().value();
  const Bytes small(1024, std::byte{'x'});
  const Bytes middle(10 * 1024, std::byte{'x'});
  const Bytes large(1024 * 1024, std::byte{'x'});
  const auto medians = measure({
      [&] { crypto::KemPrivateKey::generate(seal::kSealedSuite.kem); },
      [&] { require(public_key.encapsulate().has_value()); },
      [&] { require(key.decapsulate(made.enc).has_value()); },
      [&] { whole_exchange(world, small); },
      [&] { whole_exchange(world, middle); },
      [&] { whole_exchange(world, large); },
      [&] {
        std::optional<seal::SealedReply> reply;
        sealed_request(world, small, reply);
      },
  });
  const auto bound = medians[0] + 2 * medians[1] + 2 * medians[2];
  std::printf("X-Wing, us: key %.1f, encapsulate %.1f, decapsulate %.1f\n", medians[0] * 1e6,
              medians[1] * 1e6, medians[2] * 1e6);
  std::printf("%-34s %9s %9s\n", "both ends, sealed and opened", "us", "of bound");
  const char* names[] = {"1 KiB exchange", "10 KiB exchange", "1 MiB exchange"};
  for (std::size_t i = 0; i < 3; ++i)
    std::printf("%-34s %9.1f %9.2f\n", names[i], medians[3 + i] * 1e6, bound / medians[3 + i]);
  std::printf("%-34s %9.1f\n", "of it the client's request, 1 KiB", medians[6] * 1e6);
  std::printf("server: %.0f sessions a second and core\n",
              1 / (medians[3] - medians[6] - medians[2]));
}

// A frame sealed, and a frame sealed, found in the stream and opened: opening is the difference.
void frames() {
  std::printf("\n%-12s %10s %10s %10s\n", "frame bytes", "seal GB/s", "open GB/s", "AEAD GB/s");
  for (const std::size_t n : {512u, 4096u, 16384u, 65536u}) {
    constexpr auto aead_id = crypto::AeadId::aes_256_gcm;
    const std::vector<std::byte> key(32, std::byte{1});
    auto aead = crypto::Aead::make(aead_id, key).value();
    seal::FrameSealer only_sealer{crypto::AeadSequence::make(aead_id, key, {}).value()};
    seal::FrameSealer sealer{crypto::AeadSequence::make(aead_id, key, {}).value()};
    seal::FrameOpenKeys opener{crypto::AeadSequence::make(aead_id, key, {}).value()};
    seal::FrameSplitter splitter{n + crypto::kAeadTagBytes};
    const Bytes plain(n, std::byte{'p'});
    Bytes out(n + crypto::kAeadTagBytes);
    Bytes wire;
    const auto medians = measure({
        [&] {
          wire.clear();
          require(only_sealer.seal(plain, false, wire).has_value());
        },
        [&] {
          wire.clear();
          require(sealer.seal(plain, false, wire).has_value());
          splitter.feed(wire);
          const auto frame = splitter.next();
          require(frame && *frame && seal::open_frame(opener, **frame));
        },
        [&] { require(aead.seal({}, {}, plain, out).has_value()); },
    });
    const auto rate = [n](double seconds) { return static_cast<double>(n) / seconds / 1e9; };
    std::printf("%-12zu %10.2f %10.2f %10.2f\n", n, rate(medians[0]), rate(medians[1] - medians[0]),
                rate(medians[2]));
  }
}

// Oblivious HTTP, a message of `message` bytes both ways, both ends; the client reads the key
// configuration each time.
void ohttp_round_trip(seal::OhttpKeys& keys, const Clock& clock, BytesView config,
                      seal::testing::OhttpForm form, BytesView message) {
  const auto known = seal::parse_key_config(config);
  require(known.has_value());
  auto client = seal::testing::OhttpExchange::begin(form, *known, known->suites.front());
  require(client.has_value());
  const auto request = client->request(message);
  require(request.has_value());
  const seal::OhttpParts parts{keys, clock};
  std::unique_ptr<seal::RequestOpener> opener;
  if (form == seal::testing::OhttpForm::plain) {
    opener = std::make_unique<seal::OhttpOpener>(parts, 1 << 20);
  } else {
    opener = std::make_unique<seal::ChunkedOhttpOpener>(parts);
  }
  opener->feed(*request);
  opener->end();
  const auto opened = opener->next();
  require(opened && *opened && opener->finished());
  const auto sealer = opener->answer_sealer();
  require(sealer.has_value());
  Bytes wire{(*sealer)->head().begin(), (*sealer)->head().end()};
  require((*sealer)->write(**opened, wire) && (*sealer)->finish(wire));
  const auto answer = client->open(wire);
  require(answer && std::ranges::equal(*answer, message));
}

void ohttp() {
  SystemClock clock;
  seal::OhttpKeys keys;
  keys.rotate(clock.wall(), clock.wall() + Seconds{600});
  const auto configs = keys.configs(clock.wall());
  const auto xwing = seal::encode_key_config(configs.front());
  const auto x25519 = seal::encode_key_config(configs.back());
  const Bytes message(1024, std::byte{'x'});
  using Form = seal::testing::OhttpForm;
  const auto medians = measure({
      [&] { ohttp_round_trip(keys, clock, xwing, Form::plain, message); },
      [&] { ohttp_round_trip(keys, clock, xwing, Form::chunked, message); },
      [&] { ohttp_round_trip(keys, clock, x25519, Form::plain, message); },
      [&] { ohttp_round_trip(keys, clock, x25519, Form::chunked, message); },
  });
  std::printf("\n%-42s %9s\n", "Oblivious HTTP, 1 KiB both ways", "us");
  const char* names[] = {"X-Wing, AES-128-GCM, plain", "X-Wing, AES-128-GCM, chunked",
                         "X25519, AES-128-GCM, plain", "X25519, AES-128-GCM, chunked"};
  for (std::size_t i = 0; i < std::size(names); ++i)
    std::printf("%-42s %9.1f\n", names[i], medians[i] * 1e6);
}

}  // namespace

int main() {
  World world;
  exchanges(world);
  ohttp();
  frames();
}
