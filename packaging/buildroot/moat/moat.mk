################################################################################
#
# moat
#
################################################################################

MOAT_VERSION = @MOAT_VERSION@
MOAT_SITE = @MOAT_URL@
MOAT_LICENSE = MIT
MOAT_LICENSE_FILES = LICENSE
MOAT_INSTALL_STAGING = YES
MOAT_DEPENDENCIES = libsodium

# It chooses its optimisation file by file, on top of -O2.
MOAT_CONF_OPTS = \
	-DCMAKE_BUILD_TYPE=RelWithDebInfo \
	-DMOAT_TESTS=OFF \
	-DMOAT_SMALL=$(if $(BR2_PACKAGE_MOAT_SMALL),ON,OFF)

ifneq ($(BR2_PACKAGE_MOAT_COMMAND),y)
define MOAT_REMOVE_COMMAND
	rm -f $(TARGET_DIR)/usr/bin/moat
endef
MOAT_POST_INSTALL_TARGET_HOOKS += MOAT_REMOVE_COMMAND
endif

ifeq ($(BR2_PACKAGE_MOAT_DEFAULT),y)
define MOAT_INSTALL_PRELOAD
	mkdir -p $(TARGET_DIR)/etc
	echo /usr/lib/libmoat.so.0 >$(TARGET_DIR)/etc/ld.so.preload
endef
MOAT_POST_INSTALL_TARGET_HOOKS += MOAT_INSTALL_PRELOAD
endif

$(eval $(cmake-package))
