// One random schedule of the model: what clients, servers, the network and time do, in which order,
// decided by a seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "world.hpp"

namespace tacit::adversary {

// calm: bytes arrive late and in any pieces; keys rotate. rough: connections break and servers
// start anew, too. hostile: the network is the adversary's.
enum class Mood : std::uint8_t { calm, rough, hostile };

struct Outcome {
  Mood mood = Mood::calm;
  std::vector<std::string> violations;
  std::size_t num_requests = 0;
  std::size_t num_done = 0;
  std::size_t num_attacks = 0;
};

// Byte strings differ from run to run (keys are random); what happens, and in which order, is the
// seed's.
Outcome run_schedule(Cast& cast, std::uint64_t seed);

}  // namespace tacit::adversary
