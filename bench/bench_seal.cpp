// What sealing costs on one core, without a network: whole exchanges against the X-Wing operations
// they cannot do without, and frames against the bare AEAD, measured side by side.
//
//   ./dev bench seal
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "crypto/random.hpp"
#include "seal/sealed_client.hpp"
#include "seal/sealed_server.hpp"

using namespace tacit;  // a program of one file

namespace {

constexpr int kRounds = 9;
constexpr double kRoundSeconds = 0.1;

void require(bool ok) {
  if (!ok) std::abort();
}

double processor_seconds() {
  timespec time{};
  require(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double seconds_of(const std::function<void()>& work, int times) {
  const auto begun = processor_seconds();
  for (int i = 0; i < times; ++i) work();
  return processor_seconds() - begun;
}

// Median seconds of one call of each, all of them in every round.
std::vector<double> measure(const std::vector<std::function<void()>>& operations) {
  std::vector<int> times;
  for (const auto& operation : operations) {
    int n = 1;
    while (seconds_of(operation, n) < kRoundSeconds / 4) n *= 2;
    times.push_back(4 * n);
  }
  std::vector<std::vector<double>> rounds(operations.size());
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < operations.size(); ++i)
      rounds[i].push_back(seconds_of(operations[i], times[i]) / times[i]);
  }
  std::vector<double> medians;
  for (auto& values : rounds) {
    std::ranges::sort(values);
    medians.push_back(values[values.size() / 2]);
  }
  return medians;
}

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

void frames() {
  std::printf("\n%-12s %10s %10s %10s\n", "frame bytes", "seal GB/s", "open GB/s", "AEAD GB/s");
  for (const std::size_t n : {512u, 4096u, 16384u, 65536u}) {
    const std::vector<std::byte> key(32, std::byte{1});
    auto aead = crypto::Aead::make(crypto::AeadId::aes_256_gcm, key).value();
    auto sequence = crypto::AeadSequence::make(crypto::AeadId::aes_256_gcm, key, {}).value();
    seal::FrameSealer sealer{std::move(sequence)};
    Bytes plain(n, std::byte{'p'});
    Bytes out(n + 16);
    Bytes wire;
    Bytes sealed(n + 16);
    require(aead.seal({}, {}, plain, sealed).has_value());
    const auto work = Bytes(sealed);
    Bytes place(n);
    const auto medians = measure({
        [&] {
          wire.clear();
          require(sealer.seal(plain, false, wire).has_value());
        },
        [&] { require(aead.open({}, {}, sealed, place).has_value()); },
        [&] { require(aead.seal({}, {}, plain, out).has_value()); },
    });
    const auto rate = [n](double seconds) { return static_cast<double>(n) / seconds / 1e9; };
    std::printf("%-12zu %10.2f %10.2f %10.2f\n", n, rate(medians[0]), rate(medians[1]),
                rate(medians[2]));
  }
}

}  // namespace

int main() {
  World world;
  exchanges(world);
  frames();
}
