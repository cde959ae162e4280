// The `tacit` command line.
#pragma once

namespace tacit::cli {

// Exit codes, documented in `tacit --help`.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitCannotTell = 3;     // something needed for a verdict is missing
inline constexpr int kExitInterrupted = 130;  // 128 + SIGINT, as shells have it

// Parses the arguments and runs one command; returns the process's exit status.
int run_app(int argc, char** argv);

}  // namespace tacit::cli
