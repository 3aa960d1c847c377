"""The public test kit: a simulated passthrough host that several processes share. Imports no pytest.

Start with `vfioctl.testing.host.FakeHost` and a machine of `vfioctl.testing.scenarios`.
"""
