# make                        builds ./vlockrun and build/libvlock.{a,so}
# make test bench lint        see scripts/test for what they need
# make install PREFIX=/usr DESTDIR=/tmp/root
# WERROR=1                    warnings are errors
# SANITIZER=address,undefined instruments everything
# CC=clang                    another compiler

PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
ifeq ($(origin CC),default)
CC = cc
endif
PKG_CONFIG ?= pkg-config
WERROR ?=
SANITIZER ?=
VERSION := $(shell sed -n 's/^\#define VLOCK_VERSION "\(.*\)"/\1/p' src/vlock.h)

# The name of Lua's pkg-config file differs between systems.
LUA_PC := $(firstword $(foreach name,lua5.4 lua-5.4 lua54 lua,$(shell $(PKG_CONFIG) --exists $(name) && echo $(name))))
CJSON_PC := $(firstword $(foreach name,lua5.4-cjson lua-cjson,$(shell $(PKG_CONFIG) --exists $(name) && echo $(name))))
PACKAGES := hiredis libevent $(LUA_PC) $(CJSON_PC)

ifneq ($(filter-out clean uninstall,$(or $(MAKECMDGOALS),all)),)
ifeq ($(LUA_PC),)
$(error Lua 5.4 is missing. Debian, Ubuntu: apt install liblua5.4-dev; scripts/demo installs everything)
endif
ifeq ($(CJSON_PC),)
$(error lua-cjson is missing. Debian, Ubuntu: apt install lua-cjson-dev; scripts/demo installs everything)
endif
ifneq ($(shell $(PKG_CONFIG) --exists hiredis libevent && echo yes),yes)
$(error hiredis or libevent is missing. Debian, Ubuntu: apt install libhiredis-dev libevent-dev; scripts/demo installs everything)
endif
endif

# Objects of another compiler or with other instruments do not mix: each kind has a folder of its own.
KIND := $(notdir $(firstword $(CC)))$(if $(SANITIZER),-$(subst $(comma),-,$(SANITIZER)))
comma := ,
BUILD := build/$(KIND)

CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -MMD -MP \
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
  $(if $(WERROR),-Werror) $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-omit-frame-pointer -fno-sanitize-recover=all) \
  $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(PACKAGES))) -Isrc \
  -DVLOCK_SHARE_DIR='"$(PREFIX)/share/vlock"' $(CPPFLAGS) $(CFLAGS)
LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lm
ALL_LDFLAGS := $(if $(SANITIZER),-fsanitize=$(SANITIZER)) $(LDFLAGS)

COMMAND_SOURCES := src/vlockrun.c src/options.c
LIBRARY_SOURCES := $(filter-out $(COMMAND_SOURCES),$(wildcard src/*.c))
LUA_FILES := $(shell find lua -name '*.lua')
COMMAND_OBJECTS := $(COMMAND_SOURCES:%.c=$(BUILD)/%.o)
LIBRARY_OBJECTS := $(LIBRARY_SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/embedded_lua.o
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))

.PHONY: all test bench lint install uninstall clean unit-tests
.DELETE_ON_ERROR:

all: vlockrun build/libvlock.a build/libvlock.so.0

# The three that people look for stand at the top of build/ and of the checkout; they are made again when the kind changes.
vlockrun: $(BUILD)/vlockrun build/kind
	cp -f $< $@
build/libvlock.a: $(BUILD)/libvlock.a build/kind
	cp -f $< $@
build/libvlock.so.0: $(BUILD)/libvlock.so.0 build/kind
	cp -f $< $@
build/kind: FORCE
	@mkdir -p $(@D)
	@echo '$(KIND) $(PREFIX)' | cmp -s - $@ || echo '$(KIND) $(PREFIX)' > $@
FORCE:

$(BUILD)/vlockrun: $(COMMAND_OBJECTS) $(BUILD)/libvlock.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/libvlock.a: $(LIBRARY_OBJECTS)
	rm -f $@
	$(AR) rcs $@ $^
$(BUILD)/libvlock.so.0: $(LIBRARY_OBJECTS)
	$(CC) -shared -Wl,-soname,libvlock.so.0 $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c build/kind
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<
$(BUILD)/embedded_lua.o: build/embedded_lua.c build/kind
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<
build/embedded_lua.c: $(LUA_FILES) scripts/embed
	@mkdir -p $(@D)
	scripts/embed lua > $@

unit-tests: $(UNIT_TESTS)
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libvlock.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) $(shell $(PKG_CONFIG) --libs cmocka)

test: all unit-tests
	tests/run $(UNIT_TESTS)

lint:
	tests/lint

bench: all
	tests/bench/run

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include
	install -m 755 vlockrun $(DESTDIR)$(PREFIX)/bin/vlockrun
	install -m 644 build/libvlock.a $(DESTDIR)$(PREFIX)/lib/libvlock.a
	install -m 755 build/libvlock.so.0 $(DESTDIR)$(PREFIX)/lib/libvlock.so.0
	ln -sf libvlock.so.0 $(DESTDIR)$(PREFIX)/lib/libvlock.so
	install -m 644 src/vlock.h src/vlock_error.h src/vlock_reply.h $(DESTDIR)$(PREFIX)/include
	scripts/pkgconfig '$(PREFIX)' '$(VERSION)' '$(LUA_PC)' '$(CJSON_PC)' > $(DESTDIR)$(PREFIX)/lib/pkgconfig/vlock.pc
	set -e; for file in $(LUA_FILES); do \
	  install -D -m 644 $$file $(DESTDIR)$(PREFIX)/share/vlock/$$file; done

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/vlockrun $(DESTDIR)$(PREFIX)/lib/libvlock.a $(DESTDIR)$(PREFIX)/lib/libvlock.so \
	  $(DESTDIR)$(PREFIX)/lib/libvlock.so.0 $(DESTDIR)$(PREFIX)/lib/pkgconfig/vlock.pc \
	  $(addprefix $(DESTDIR)$(PREFIX)/include/,vlock.h vlock_error.h vlock_reply.h)
	rm -rf $(DESTDIR)$(PREFIX)/share/vlock

clean:
	rm -rf build vlockrun

-include $(wildcard $(BUILD)/src/*.d $(BUILD)/tests/unit/*.d $(BUILD)/*.d)
