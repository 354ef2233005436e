# JupyterHub for several people who move partitions: each gets `lpmkit lab` under their own account.
# docs/security.md tells how it is used.
c = get_config()  # noqa: F821 - JupyterHub's

# Certificate and name are the site's; the hub has no other door.
c.JupyterHub.bind_url = "https://:443"
c.JupyterHub.ssl_cert = "/etc/lpmkit/hub.crt"
c.JupyterHub.ssl_key = "/etc/lpmkit/hub.key"

# Accounts of this machine, by their passwords (PAM): who stands in the record is who logged in.
c.JupyterHub.authenticator_class = "pam"
c.Authenticator.allowed_users = {"anna", "bert"}
c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"

# lpmkit's own door: kernels talk over sockets of the account, notebooks are fresh dated copies below ~/lab.
c.Spawner.cmd = ["/opt/lpmkit/bin/lpmkit", "lab", "--hub"]
c.Spawner.default_url = "/lab"
c.Spawner.environment = {"LPMKIT_SITE": "/etc/lpmkit/site.yaml"}
