# make                        builds ./vlockrun, build/libvlock.a, build/libvlock.so.0, and
#                             build/vlock.so for require "vlock"
# make test bench lint        see scripts/test for what they need
# make bench QUICK=1          in three minutes; PEERS=install installs other clients; ONLY="NAME …"
# make install PREFIX=/usr DESTDIR=/tmp/root; make uninstall takes away the same files
# WERROR=1                    warnings are errors
# SANITIZER=address,undefined instruments everything
# CC=clang                    another compiler
# make fuzz FUZZ_SECONDS=60   each target in tests/fuzz under libFuzzer; needs clang

PREFIX ?= /usr/local
DESTDIR ?=
ifeq ($(origin CC),default)
CC := cc
endif
PKG_CONFIG ?= pkg-config
WERROR ?=
SANITIZER ?=
CFLAGS ?= -O2 -g
VERSION := $(shell sed -n 's/^.define VLOCK_VERSION "\(.*\)"/\1/p' src/vlock.h)

# ---- what it stands on ----

# The names of these two differ between systems.
first_package = $(firstword $(foreach name,$(1),$(shell $(PKG_CONFIG) --exists $(name) 2>/dev/null && echo $(name))))
LUA_PC := $(call first_package,lua5.4 lua-5.4 lua54 lua)
CJSON_PC := $(call first_package,lua5.4-cjson lua54-cjson lua-cjson)

# need: name for people, what pkg-config found, the package of Debian and Ubuntu
need = $(if $(strip $(2)),,$(error $(1) is missing. Debian and Ubuntu: apt install $(3). scripts/demo installs all that a build needs))
ifneq ($(filter-out clean uninstall lint,$(or $(MAKECMDGOALS),all)),)
$(call need,$(PKG_CONFIG),$(shell command -v $(PKG_CONFIG)),pkg-config)
$(call need,hiredis,$(call first_package,hiredis),libhiredis-dev)
$(call need,libevent,$(call first_package,libevent),libevent-dev)
$(call need,OpenSSL,$(call first_package,openssl),libssl-dev)
$(call need,Lua 5.4,$(and $(LUA_PC),$(filter 5.4%,$(shell $(PKG_CONFIG) --modversion $(LUA_PC)))),liblua5.4-dev)
$(call need,lua-cjson for Lua 5.4,$(CJSON_PC),lua-cjson-dev)
endif
ifneq ($(filter test unit-tests,$(MAKECMDGOALS)),)
$(call need,cmocka,$(call first_package,cmocka),libcmocka-dev)
endif
PACKAGES := hiredis libevent openssl $(LUA_PC) $(CJSON_PC)
# Lines at the prompt are edited where it is there. Of the command alone, not of the library.
EDIT_PC := $(call first_package,libedit)

# ---- how it is built ----

# Objects of another compiler or with other instruments do not mix: each kind has a folder of its
# own. What else changes the objects stands in the folder's file `flags`, on which they all depend.
comma := ,
empty :=
KIND := $(subst $(empty) ,-,$(notdir $(CC))$(addprefix -,$(subst $(comma),-,$(SANITIZER))))
BUILD := build/$(KIND)

# Where the files of lua/ lie once installed. Only one room knows it, so that `make install
# PREFIX=…` compiles just that one again.
SHARE_ROOM := $(BUILD)/src/lua/lib_files.o

ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -fPIC -fvisibility=hidden \
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
  $(if $(WERROR),-Werror) $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-omit-frame-pointer -fno-sanitize-recover=all) \
  $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null)) -Isrc $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS := $(if $(SANITIZER),-fsanitize=$(SANITIZER)) $(LDFLAGS)
LUA_LIBS := $(shell $(PKG_CONFIG) --libs $(LUA_PC) 2>/dev/null)
EDIT_LIBS := $(if $(EDIT_PC),$(shell $(PKG_CONFIG) --libs $(EDIT_PC) 2>/dev/null))
LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null) -lm
COMPILE = @mkdir -p $(@D)$(newline)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

COMMAND_SOURCES := $(sort $(wildcard src/command/*.c))
MODULE_SOURCES := src/engine/module.c
LIBRARY_SOURCES := $(filter-out $(COMMAND_SOURCES) $(MODULE_SOURCES),$(sort $(wildcard src/*.c src/*/*.c)))
LUA_FILES := $(sort $(shell find lua -name '*.lua'))
LUA_FOLDERS := $(sort $(shell find lua -type d))
COMMAND_OBJECTS := $(COMMAND_SOURCES:%.c=$(BUILD)/%.o)
MODULE_OBJECTS := $(MODULE_SOURCES:%.c=$(BUILD)/%.o)
LIBRARY_OBJECTS := $(LIBRARY_SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/built_in_lua.o
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/unit/test_*.c)))
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(filter-out %/replay.c,$(sort $(wildcard tests/fuzz/*.c))))
FUZZ_REPLAYS := $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/%)
FUZZERS := $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)
PUBLIC_HEADERS := vlock.h vlock_error.h vlock_reply.h

.PHONY: all test soak allocations planted fuzz bench lint manual install uninstall clean \
  unit-tests fuzz-replays fuzzers FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: vlockrun build/libvlock.a build/libvlock.so.0 build/vlock.so

# record: writes the text into the file if it says anything else, so that its date is that of the
# last change.
record = @mkdir -p $(@D)$(newline)@printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(1))' >$@
define newline


endef

build/kind: FORCE
	$(call record,$(KIND))
$(BUILD)/flags: FORCE
	$(call record,$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIBS) $(EDIT_LIBS) $(LIBRARY_SOURCES))
$(BUILD)/prefix: FORCE
	$(call record,$(PREFIX))

# The four that people look for stand at the top of build/ and of the checkout; they are made again
# when the kind changes.
vlockrun: $(BUILD)/vlockrun build/kind
	cp -f $< $@
build/libvlock.a: $(BUILD)/libvlock.a build/kind
	cp -f $< $@
build/libvlock.so.0: $(BUILD)/libvlock.so.0 build/kind
	cp -f $< $@
build/vlock.so: $(BUILD)/vlock.so build/kind
	cp -f $< $@

$(BUILD)/vlockrun: $(COMMAND_OBJECTS) $(BUILD)/libvlock.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) $(EDIT_LIBS)
$(BUILD)/libvlock.a: $(LIBRARY_OBJECTS)
	rm -f $@
	$(AR) rcs $@ $^
$(BUILD)/libvlock.so.0: $(LIBRARY_OBJECTS)
	$(CC) -shared -Wl,-soname,libvlock.so.0 $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# Lua is that of the program which loads it. It shows one name.
$(BUILD)/vlock.so: $(MODULE_OBJECTS) $(BUILD)/libvlock.a
	$(CC) -shared -Wl,--exclude-libs,libvlock.a $(ALL_LDFLAGS) -o $@ $^ $(filter-out $(LUA_LIBS),$(LIBS))

$(BUILD)/src/command/line_editor.o: private ALL_CFLAGS += $(if $(EDIT_PC),-DVLOCK_LIBEDIT \
  $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(EDIT_PC) 2>/dev/null)))
$(SHARE_ROOM): private ALL_CFLAGS += -DVLOCK_SHARE_DIR='"$(PREFIX)/share/vlock"'
$(SHARE_ROOM): $(BUILD)/prefix
$(BUILD)/%.o: %.c $(BUILD)/flags
	$(COMPILE)
$(BUILD)/built_in_lua.o: build/built_in_lua.c $(BUILD)/flags
	$(COMPILE)
# The folders are there for a file that has gone.
build/built_in_lua.c: $(LUA_FILES) $(LUA_FOLDERS) scripts/build/embed
	@mkdir -p $(@D)
	scripts/build/embed lua >$@

# Man pages and completions, from what vlockrun says of its own command line.
MANUAL := vlockrun.1 vlock.3 vlock-policy.5 vlockrun.bash _vlockrun vlockrun.fish
manual: $(addprefix build/manual/,$(MANUAL))
$(addprefix build/manual/,$(MANUAL)) &: vlockrun $(wildcard src/manual/*) src/vlock.h \
  scripts/build/manual.lua $(BUILD)/prefix
	@mkdir -p $(@D)
	./vlockrun scripts/build/manual.lua $(@D) '$(PREFIX)'

unit-tests: $(UNIT_TESTS)
# The libraries are linked in whole where their allocations are to fail.
FAILING := malloc calloc realloc free strdup asprintf vasprintf hi_malloc hi_strdup
# But these, of which the one is none to link with, and the other needs libraries of its own.
NOT_IN_WHOLE := %cjson -lssl -lcrypto
FAILING_LIBS := -Wl,-Bstatic $(filter-out -lm $(NOT_IN_WHOLE),$(LIBS)) \
  -Wl,-Bdynamic $(filter $(NOT_IN_WHOLE),$(LIBS)) \
  -ldl -lm \
  $(addprefix -Wl$(comma)--wrap=,$(FAILING))
$(BUILD)/tests/unit/test_outcomes: $(BUILD)/tests/unit/reply_proxy.o
$(BUILD)/tests/unit/test_allocations: $(addprefix $(BUILD)/tests/unit/,allocations.o reply_proxy.o)
$(BUILD)/tests/unit/test_allocations: UNIT_LIBS = $(FAILING_LIBS)
$(BUILD)/tests/unit/test_busy_poll: UNIT_LIBS = $(LIBS) $(addprefix -Wl$(comma)--wrap=,sched_yield vlock_clock_now)
$(BUILD)/tests/unit/test_engine: UNIT_LIBS = $(LIBS) -Wl,--wrap=vlock_timers_free
UNIT_LIBS = $(LIBS)
$(UNIT_TESTS): $(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libvlock.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(UNIT_LIBS) $(shell $(PKG_CONFIG) --libs cmocka)

# A target twice: with replay.c, for every compiler, and with libFuzzer.
fuzz-replays: $(FUZZ_REPLAYS)
$(FUZZ_REPLAYS): %: %.o $(BUILD)/tests/fuzz/replay.o $(BUILD)/libvlock.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
fuzzers: $(FUZZERS)
$(FUZZERS): $(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/libvlock.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

# ---- what is done with it ----

test: all unit-tests fuzz-replays
	tests/run $(UNIT_TESTS) $(FUZZ_REPLAYS)

FUZZ_SECONDS ?= 60
FUZZ_KIND := CC=clang SANITIZER=fuzzer-no-link,address,undefined
fuzz:
	$(MAKE) --no-print-directory $(FUZZ_KIND) fuzzers
	tests/fuzz/run $(FUZZ_SECONDS) $(addprefix build/clang-fuzzer-no-link-address-undefined/fuzz/,$(FUZZ_TARGETS))

lint:
	VLOCK_TESTS=tests/house/ tests/run

# A million updates through connections that break; up to half an hour.
# Outages of what receipts last, a minute, less the ten seconds after which a connection that breaks
# just then is known to be silent, and what it takes to connect.
soak: all
	tests/fault/soak --updates 500000 --kind own --outage 60:45 --disturbed 25
	tests/fault/soak --updates 500000 --kind hot --outage 60:45 --disturbed 25
	tests/fault/soak_each

# Each allocation fails in turn; EACH=N: each Nth. Four minutes for all.
EACH := 1
allocations: unit-tests
	VLOCK_ALLOCATIONS=$(EACH) $(BUILD)/tests/unit/test_allocations

# Bugs in copies of the source, and which test catches each; four minutes.
planted:
	tests/planted/run

bench: all
	tests/bench/run $(if $(QUICK),--quick) $(if $(filter install,$(PEERS)),--install-peers) $(ONLY)

# Where it goes: nothing else is written, and uninstall takes away just this.
BIN := $(DESTDIR)$(PREFIX)/bin
LIB := $(DESTDIR)$(PREFIX)/lib
LUA_LIB := $(LIB)/lua/5.4
INCLUDE := $(DESTDIR)$(PREFIX)/include
DATA := $(DESTDIR)$(PREFIX)/share
SHARE := $(DATA)/vlock
BASH_COMPLETION := $(DATA)/bash-completion/completions
ZSH_COMPLETION := $(DATA)/zsh/site-functions
FISH_COMPLETION := $(DATA)/fish/vendor_completions.d

install: all manual
	install -d $(BIN) $(LIB)/pkgconfig $(LUA_LIB) $(INCLUDE) $(addprefix $(SHARE)/,$(LUA_FOLDERS))
	install -m 755 vlockrun $(BIN)/vlockrun
	install -m 644 build/libvlock.a $(LIB)/libvlock.a
	install -m 755 build/libvlock.so.0 $(LIB)/libvlock.so.0
	ln -sf libvlock.so.0 $(LIB)/libvlock.so
	install -m 644 $(addprefix src/,$(PUBLIC_HEADERS)) $(INCLUDE)
	install -m 755 build/vlock.so $(LUA_LIB)/vlock.so
	scripts/build/pkgconfig '$(PREFIX)' '$(VERSION)' $(PACKAGES) >$(LIB)/pkgconfig/vlock.pc
	chmod 644 $(LIB)/pkgconfig/vlock.pc
	set -e; for file in $(LUA_FILES); do install -m 644 $$file $(SHARE)/$$file; done
	install -d $(DATA)/man/man1 $(DATA)/man/man3 $(DATA)/man/man5
	install -d $(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION)
	install -m 644 build/manual/vlockrun.1 $(DATA)/man/man1
	install -m 644 build/manual/vlock.3 $(DATA)/man/man3
	install -m 644 build/manual/vlock-policy.5 $(DATA)/man/man5
	install -m 644 build/manual/vlockrun.bash $(BASH_COMPLETION)/vlockrun
	install -m 644 build/manual/_vlockrun $(ZSH_COMPLETION)
	install -m 644 build/manual/vlockrun.fish $(FISH_COMPLETION)

uninstall:
	rm -f $(BIN)/vlockrun $(LIB)/libvlock.a $(LIB)/libvlock.so $(LIB)/libvlock.so.0 $(LIB)/pkgconfig/vlock.pc \
	  $(LUA_LIB)/vlock.so \
	  $(addprefix $(INCLUDE)/,$(PUBLIC_HEADERS)) $(addprefix $(SHARE)/,$(LUA_FILES))
	rm -f $(DATA)/man/man1/vlockrun.1 $(DATA)/man/man3/vlock.3 $(DATA)/man/man5/vlock-policy.5
	rm -f $(BASH_COMPLETION)/vlockrun $(ZSH_COMPLETION)/_vlockrun $(FISH_COMPLETION)/vlockrun.fish
	test ! -d $(SHARE) || find $(SHARE) -depth -type d -empty -exec rmdir {} ';'

clean:
	rm -rf build vlockrun

-include $(wildcard $(BUILD)/src/*.d $(BUILD)/src/*/*.d $(BUILD)/tests/unit/*.d $(BUILD)/tests/fuzz/*.d $(BUILD)/*.d)
