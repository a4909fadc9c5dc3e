import java.nio.charset.StandardCharsets;

import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Transactions of Java's client, for the tests of this crate beside it. Bodies say how they end: "commit …" at once,
 * "asked …" when a broker asks.
 *
 * send NAME_SERVER TX_NAME_SERVER TOPIC GROUP BODY…   sends each, never answers a check, and ends
 * check NAME_SERVER TX_NAME_SERVER TOPIC GROUP        answers checks until it is killed
 */
public class Transactions {
    public static void main(String[] args) throws Exception {
        String mode = args[0], topic = args[3];
        TransactionMQProducer producer = new TransactionMQProducer(args[4]);
        producer.setNamesrvAddr(args[2]);
        // Else the first heartbeat comes after the broker has asked 15 times and given up.
        producer.setHeartbeatBrokerInterval(1000);
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                return text(message).startsWith("commit") ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.UNKNOW;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt half) {
                if (mode.equals("send")) {
                    return LocalTransactionState.UNKNOW;
                }
                say("checked " + half.getTransactionId() + " " + text(half));
                return text(half).startsWith("asked") ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.ROLLBACK_MESSAGE;
            }
        });
        producer.start();
        if (mode.equals("send")) {
            for (int i = 5; i < args.length; i++) {
                Message message = new Message(topic, args[i].getBytes(StandardCharsets.UTF_8));
                // Servers before 5.0 tell no transaction id; it is the same.
                say(producer.sendMessageInTransaction(message, null).getMsgId());
            }
            producer.shutdown();
            System.exit(0);
        }
        // Brokers can ask only whom they know, and Java's client makes itself known to those it has sent something to.
        producer.send(new Message(topic + "_hello", "hello".getBytes(StandardCharsets.UTF_8)));
        say("ready");
        Thread.sleep(Long.MAX_VALUE);
    }

    private static String text(Message message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }

    private static void say(String line) {
        System.out.println("> " + line);
    }
}
