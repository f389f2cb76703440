UPDATE opt_outs SET
  active = (SELECT o.active FROM opt_outs o WHERE o.tenant_id = opt_outs.tenant_id AND o.channel = opt_outs.channel
    AND o.sender = opt_outs.sender AND o.peer_key = '+54' || substr(opt_outs.peer_key, 5)),
  word = (SELECT o.word FROM opt_outs o WHERE o.tenant_id = opt_outs.tenant_id AND o.channel = opt_outs.channel
    AND o.sender = opt_outs.sender AND o.peer_key = '+54' || substr(opt_outs.peer_key, 5)),
  at_us = (SELECT o.at_us FROM opt_outs o WHERE o.tenant_id = opt_outs.tenant_id AND o.channel = opt_outs.channel
    AND o.sender = opt_outs.sender AND o.peer_key = '+54' || substr(opt_outs.peer_key, 5))
  WHERE peer_key LIKE '+549__________' AND EXISTS (SELECT 1 FROM opt_outs o WHERE o.tenant_id = opt_outs.tenant_id
    AND o.channel = opt_outs.channel AND o.sender = opt_outs.sender
    AND o.peer_key = '+54' || substr(opt_outs.peer_key, 5) AND o.at_us > opt_outs.at_us);
DELETE FROM opt_outs WHERE peer_key LIKE '+54__________' AND EXISTS (SELECT 1 FROM opt_outs o
  WHERE o.tenant_id = opt_outs.tenant_id AND o.channel = opt_outs.channel AND o.sender = opt_outs.sender
    AND o.peer_key = '+549' || substr(opt_outs.peer_key, 4));
UPDATE opt_outs SET peer_key = '+549' || substr(peer_key, 4) WHERE peer_key LIKE '+54__________';
UPDATE opt_out_history SET peer_key = '+549' || substr(peer_key, 4) WHERE peer_key LIKE '+54__________';
UPDATE contacts SET phone_key = '+549' || substr(phone_key, 4) WHERE phone_key LIKE '+54__________'
  AND NOT EXISTS (SELECT 1 FROM contacts o WHERE o.tenant_id = contacts.tenant_id
    AND o.phone_key = '+549' || substr(contacts.phone_key, 4));
DELETE FROM campaign_members WHERE peer_key LIKE '+54__________' AND EXISTS (SELECT 1 FROM campaign_members o
  WHERE o.campaign_id = campaign_members.campaign_id AND o.peer_key = '+549' || substr(campaign_members.peer_key, 4));
UPDATE campaign_members SET peer_key = '+549' || substr(peer_key, 4) WHERE peer_key LIKE '+54__________';
UPDATE messages SET peer_key = '+549' || substr(peer_key, 4) WHERE peer_key LIKE '+54__________';
UPDATE calls SET peer_key = '+549' || substr(peer_key, 4) WHERE peer_key LIKE '+54__________';
UPDATE call_legs SET peer_key = '+549' || substr(peer_key, 4) WHERE peer_key LIKE '+54__________';
UPDATE actions SET peer_key = '+549' || substr(peer_key, 4) WHERE peer_key LIKE '+54__________';
UPDATE actions SET lane = substr(lane, 1, length(lane) - 13) || '+549' || substr(lane, length(lane) - 9)
  WHERE lane LIKE '%>+54__________';
