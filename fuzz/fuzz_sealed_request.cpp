// A sealed request altered by a stranger: the server opens nothing but what the client sealed, and
// refuses everything else in the same words. The input is a list of edits.
#include <cstdlib>

#include "seal/sealed_client.hpp"
#include "seal/sealed_server.hpp"
#include "sealed_edits.hpp"

using namespace tacit;

namespace {

class Anyone final : public seal::CallerDirectory {
 public:
  std::optional<Caller> find(const seal::PskId& id) override {
    auto anyone = seal::anonymous_caller();
    if (id != anyone.id) return std::nullopt;
    return Caller{std::move(anyone.psk), true};
  }
};

struct World {
  ManualClock clock;
  seal::KeyRing ring;
  Anyone callers;
  seal::ReplayCache replays;
  Bytes wire;
  std::string text = std::string(1500, 's');

  World() {
    auto draft = ring.draft();
    const auto known = seal::server_key(draft.config, {}).value();
    const auto now = clock.wall();
    ring.add({std::move(draft.key), draft.config, known.binding, now, now + Seconds{600}}, now);
    auto request = seal::SealedRequest::begin(seal::RequestDraft::make(known).value(),
                                              seal::anonymous_caller(), {}, now)
                       .value();
    wire.assign(request.head().begin(), request.head().end());
    // Two frames, so that they can be exchanged.
    if (!request.write(as_bytes(text), wire) || !request.flush(wire) || !request.finish(wire))
      std::abort();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  const auto wire = fuzz::edited(world.wire, data, size);
  seal::SealedOpener opener{{world.ring, world.callers, world.replays, world.clock}};
  opener.feed(wire);
  opener.end();
  std::string opened;
  for (;;) {
    const auto data_or = opener.next();
    if (!data_or) {
      if (!opener.authenticated() && data_or.error().message() != seal::refused().message())
        std::abort();
      break;
    }
    if (!*data_or) break;
    opened += as_text(**data_or);
  }
  if (opener.finished() && wire != world.wire) std::abort();
  if (opener.finished() && opened != world.text) std::abort();
  if (!world.text.starts_with(opened)) std::abort();
  return 0;
}
