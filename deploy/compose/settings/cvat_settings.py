"""CVAT's settings with logins from a directory and e-mail, each when its variables are set (overlays ldap, email).

Mounted into CVAT's own image and named by DJANGO_SETTINGS_MODULE. CVAT reads it instead of its production settings,
which it begins with, so nothing of CVAT is changed.
"""

import os

from cvat.settings.production import *

if os.environ.get("LDAP_URI"):
    import ldap
    from django_auth_ldap.config import GroupOfNamesType, LDAPSearch, NestedActiveDirectoryGroupType

    _DIRECTORIES = {
        # Attribute of the login name, filter of people, how groups name their members, attribute of the given name.
        "active-directory": ("sAMAccountName", "(objectClass=user)", NestedActiveDirectoryGroupType()),
        "freeipa": ("uid", "(objectClass=person)", GroupOfNamesType()),
    }
    _kind = os.environ.get("LDAP_KIND", "freeipa")
    if _kind not in _DIRECTORIES:
        raise ValueError(f"LDAP_KIND {_kind!r}: use {' or '.join(_DIRECTORIES)}")
    _login, _people, _groups = _DIRECTORIES[_kind]

    IAM_TYPE = "LDAP"
    AUTH_LDAP_SERVER_URI = os.environ["LDAP_URI"]
    AUTH_LDAP_BIND_DN = os.environ["LDAP_BIND_DN"]
    AUTH_LDAP_BIND_PASSWORD = os.environ["LDAP_BIND_PASSWORD"]
    AUTH_LDAP_START_TLS = AUTH_LDAP_SERVER_URI.startswith("ldap://")
    """A password never crosses the network in the clear: ldaps:// or StartTLS."""
    AUTH_LDAP_CONNECTION_OPTIONS = {ldap.OPT_REFERRALS: 0, ldap.OPT_X_TLS_REQUIRE_CERT: ldap.OPT_X_TLS_DEMAND}
    AUTH_LDAP_USER_SEARCH = LDAPSearch(
        os.environ["LDAP_USER_BASE"], ldap.SCOPE_SUBTREE, f"(&{_people}({_login}=%(user)s))"
    )
    AUTH_LDAP_GROUP_SEARCH = LDAPSearch(
        os.environ["LDAP_GROUP_BASE"], ldap.SCOPE_SUBTREE, "(|(objectClass=group)(objectClass=groupOfNames))"
    )
    AUTH_LDAP_GROUP_TYPE = _groups
    AUTH_LDAP_USER_ATTR_MAP = {"first_name": "givenName", "last_name": "sn", "email": "mail"}
    AUTH_LDAP_ALWAYS_UPDATE_USER = True
    AUTH_LDAP_CACHE_TIMEOUT = 3600

    # Names of CVAT's roles -> the directory's groups whose members have them.
    AUTH_LDAP_ADMIN_GROUPS = [os.environ["LDAP_ADMIN_GROUP"]]
    AUTH_LDAP_WORKER_GROUPS = []
    AUTH_LDAP_USER_GROUPS = [name for name in [os.environ.get("LDAP_USER_GROUP", "")] if name]
    DJANGO_AUTH_LDAP_GROUPS = {
        "admin": AUTH_LDAP_ADMIN_GROUPS,
        "user": AUTH_LDAP_USER_GROUPS,
        "worker": AUTH_LDAP_WORKER_GROUPS,
    }
    if AUTH_LDAP_USER_GROUPS:
        AUTH_LDAP_REQUIRE_GROUP = AUTH_LDAP_USER_GROUPS[0]
    # The account of reefline itself, and an administrator for emergencies, are CVAT's own.
    AUTHENTICATION_BACKENDS += ["django_auth_ldap.backend.LDAPBackend"]

if os.environ.get("EMAIL_HOST"):
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST = os.environ["EMAIL_HOST"]
    EMAIL_PORT = int(os.environ.get("EMAIL_PORT") or 587)
    EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
    EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
    EMAIL_USE_TLS = EMAIL_PORT != 465
    EMAIL_USE_SSL = EMAIL_PORT == 465
    DEFAULT_FROM_EMAIL = os.environ["EMAIL_FROM"]
    ACCOUNT_AUTHENTICATION_METHOD = "username_email"
    ACCOUNT_EMAIL_REQUIRED = True
    ACCOUNT_EMAIL_VERIFICATION = "mandatory"
