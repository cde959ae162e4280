// A sealed answer altered by a stranger: the client gets what the server sealed, from its beginning
// on, and takes nothing else for whole. The input is a list of edits.
#include <cstdlib>

#include "seal/sealed_client.hpp"
#include "seal/sealed_server.hpp"
#include "sealed_edits.hpp"

using namespace tacit;

namespace {

class Anyone final : public seal::CallerDirectory {
 public:
  std::optional<Caller> find(const seal::PskId&) override {
    return Caller{SecretBytes{caller_.psk.reveal()}, true};
  }

 private:
  seal::CallerKey caller_ = seal::anonymous_caller();
};

struct World {
  ManualClock clock;
  seal::KeyRing ring;
  Anyone callers;
  seal::ReplayCache replays;
  std::optional<seal::ServerKey> known;

  World() {
    auto draft = ring.draft();
    known = seal::server_key(draft.config, {}).value();
    const auto now = clock.wall();
    ring.add({std::move(draft.key), draft.config, known->binding, now, now + Seconds{600}}, now);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  auto request = seal::SealedRequest::begin(seal::RequestDraft::make(*world.known).value(),
                                            seal::anonymous_caller(), {8, 0}, world.clock.wall())
                     .value();
  Bytes asked{request.head().begin(), request.head().end()};
  if (!request.finish(asked)) std::abort();
  seal::SealedOpener opener{{world.ring, world.callers, world.replays, world.clock}};
  opener.feed(asked);
  opener.end();
  if (!opener.next()) std::abort();
  auto answer = opener.answer().value();
  const std::string text(400, 'a');
  Bytes sealed{answer.head().begin(), answer.head().end()};
  if (!answer.write(as_bytes(text), sealed) || !answer.flush(false, sealed) ||
      !answer.finish(sealed))
    std::abort();

  const auto wire = fuzz::edited(sealed, data, size);
  auto reply = request.reply();
  reply.feed(wire);
  reply.end();
  std::string opened;
  for (;;) {
    const auto piece = reply.next();
    if (!piece || !*piece) break;
    opened += as_text(**piece);
  }
  if (!text.starts_with(opened)) std::abort();
  if (reply.finished() && (opened != text || wire != sealed)) std::abort();
  return 0;
}
