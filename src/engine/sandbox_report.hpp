// What a kernel offers, or what stands around a worker.
#pragma once

namespace tacit::engine {

// SandboxReport says which walls stand around a worker; shown by doctor and logged at start.
struct SandboxReport {
  int landlock_abi = 0;  // 0: not available
  bool seccomp = false;
  bool no_new_privileges = false;
  bool resource_limits = false;
  bool core_dumps_off = false;
};

// probe_sandbox reports what this kernel offers, without entering it. For `tacit doctor`.
SandboxReport probe_sandbox() noexcept;

}  // namespace tacit::engine
