// What `tacit worker` is to the real program, for this module's tests: argv[1] is "worker".
#include <string>
#include <vector>

#include "engine/engine.hpp"

int main(int argc, char** argv) {
  if (argc < 2 || std::string{argv[1]} != "worker") return 2;
  return tacit::engine::worker_main({argv + 2, argv + argc});
}
