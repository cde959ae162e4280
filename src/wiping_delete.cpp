// Memory is wiped before it is freed, in every process of the program: what content types do for
// themselves, this does for the strings of libraries that do not (templates, JSON, grammars).
// Not in sanitizer builds, which replace these operators themselves.
#include <malloc.h>

#include <cstdlib>
#include <new>

#include "core/secret.hpp"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

namespace {

void wipe_and_free(void* block) noexcept {
  if (block == nullptr) return;
  tacit::wipe({static_cast<std::byte*>(block), ::malloc_usable_size(block)});
  std::free(block);
}

}  // namespace

// The library's operator new allocates with malloc and aligned_alloc; so only freeing is ours.
void operator delete(void* block) noexcept { wipe_and_free(block); }
void operator delete[](void* block) noexcept { wipe_and_free(block); }
void operator delete(void* block, std::size_t) noexcept { wipe_and_free(block); }
void operator delete[](void* block, std::size_t) noexcept { wipe_and_free(block); }
void operator delete(void* block, std::align_val_t) noexcept { wipe_and_free(block); }
void operator delete[](void* block, std::align_val_t) noexcept { wipe_and_free(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { wipe_and_free(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept {
  wipe_and_free(block);
}

#endif
#endif
