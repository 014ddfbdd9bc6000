"""A workload that gets its identity from the SPIFFE Workload API with py-spiffe. Each line of its output is JSON."""

import json

from spiffe import JwtSource, WorkloadApiClient, X509Source


def say(**fields):
    print(json.dumps(fields))


def refused(client, token):
    try:
        client.validate_jwt_svid(token, "somebody-else")
    except Exception:
        return True
    return False


with X509Source() as source:
    svid = source.get_x509_context().default_svid
    bundle = source.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
    svid.leaf.verify_directly_issued_by(next(iter(bundle.x509_authorities)))
    say(
        svid=str(svid.spiffe_id),
        curve=svid.private_key.curve.name,
        domain=str(bundle.trust_domain),
        anchors=len(bundle.x509_authorities),
    )

with WorkloadApiClient() as client:
    token = client.fetch_jwt_svid(audience={"bank", "shop"}).token
    say(
        asked=str(client.validate_jwt_svid(token, "shop").spiffe_id),
        refusedElsewhere=refused(client, token),
    )

with JwtSource() as source:
    svid = source.fetch_svid(audience={"bank"})
    say(jwt=str(svid.spiffe_id), audience=sorted(svid.audience))
